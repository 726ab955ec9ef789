package tasks

import (
	"fmt"
	"math"

	"attractor/internal/npz"
)

// column is what standardize subtracts from the numbers of a column and divides them by, after they are
// multiplied by a power of two.
type column struct {
	exponent        int // of the power
	shift, mean, sd float64
}

// standardize gives each column of the inputs mean 0 and variance 1 over the training part, whatever
// their scale: a column is brought to the order of 1 by a power of two, which rounds nothing, before its
// mean and its variance are taken. One whose numbers are all the same is left at 0 there.
func (d *Dataset) standardize(path string) error {
	columns := make([]column, d.Inputs)
	first := d.Train.Row(nil, 0)
	same, largest := make([]bool, d.Inputs), make([]float64, d.Inputs)
	for j := range same {
		same[j] = true
	}
	each := func(visit func(j int, x float64)) {
		var row []float64
		for i := range d.Train.N {
			row = d.Train.Row(row[:0], i)
			for j, x := range row {
				visit(j, x)
			}
		}
	}
	each(func(j int, x float64) {
		same[j] = same[j] && x == first[j]
		largest[j] = max(largest[j], math.Abs(x))
	})
	for j := range columns {
		if _, e := math.Frexp(largest[j]); largest[j] > 0 {
			columns[j].exponent = -e
		}
	}
	n := float64(d.Train.N)
	moments := func(wanted func(j int) bool) {
		each(func(j int, x float64) {
			if wanted(j) {
				columns[j].mean += (columns[j].scaled(x) - columns[j].shift) / n
			}
		})
		each(func(j int, x float64) {
			if wanted(j) {
				far := columns[j].scaled(x) - columns[j].shift - columns[j].mean
				columns[j].sd += far * far / n
			}
		})
		for j := range columns {
			if wanted(j) {
				columns[j].sd = math.Sqrt(columns[j].sd)
			}
		}
	}
	moments(func(j int) bool { return !same[j] })
	// Where the numbers are nearly the same, their mean is known no better than their differences are
	// large: they are taken from the first of them, which rounds less.
	const near = 1e-6
	alike := make([]bool, d.Inputs)
	for j := range columns {
		if c := &columns[j]; same[j] {
			*c = column{shift: first[j], sd: 1}
		} else if alike[j] = !(c.sd > near); alike[j] {
			*c = column{exponent: c.exponent, shift: c.scaled(first[j])}
		}
	}
	moments(func(j int) bool { return alike[j] })
	for j, c := range columns {
		if !(c.sd > 0) || !finite(c.mean) {
			return &npz.Error{Path: path, Expected: fmt.Sprintf("inputs of a standard deviation that a float64 holds in column %d, for normalize: standard", j), Found: fmt.Sprint(c.sd),
				Hint: "rescale it or leave it out"}
		}
	}
	if d.Train.Bytes != nil {
		level := make([]Level, d.Inputs)
		for j, c := range columns {
			for b := range level[j] {
				level[j][b] = c.standardized(d.Train.Levels[0][b])
			}
		}
		d.Train.Levels, d.Test.Levels = level, level
		return nil
	}
	for _, part := range []struct {
		name string
		x    []float64
	}{{"training", d.Train.X}, {"test", d.Test.X}} {
		for i, x := range part.x {
			z := columns[i%d.Inputs].standardized(x)
			if !finite(z) {
				return &npz.Error{Path: path, Expected: "inputs in the range of those that are trained on, for normalize: standard",
					Found: fmt.Sprintf("%g in row %d, column %d of the %s part, too far off for a float64", x, i/d.Inputs, i%d.Inputs, part.name), Hint: "rescale it or leave it out"}
			}
			part.x[i] = z
		}
	}
	return nil
}

func (c column) scaled(x float64) float64 { return math.Ldexp(x, c.exponent) }

func (c column) standardized(x float64) float64 { return (c.scaled(x) - c.shift - c.mean) / c.sd }

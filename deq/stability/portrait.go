package stability

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

// Portrait is the state space in the plane of its two leading principal components.
type Portrait struct {
	Paths    [][][2]float64 // trajectories, by step
	Points   [][2]float64   // fixed points, in their order
	Continua [][][2]float64 // by fixed point: states that were seen of a continuum
	Unstable [][][2]float64 // by fixed point: its unstable unit directions
	Variance [2]float64     // fractions that the components have
}

// Draw runs so many trajectories from random states N(0, 1), and one from either side of each unstable direction
// of the saddles, up to six of a saddle, for some steps of the map, or units of time, and projects them with the
// fixed points and their unstable directions on the principal components of all states.
func Draw[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, points []FixedPoint, trajectories, steps int, dynamics string, seed uint64) (*Portrait, error) {
	const (
		aside = 0.05 // of the saddle, in the root mean square of the units
		most  = 3    // directions of a saddle
	)
	if x == nil {
		x = make([]T, l.Inputs)
	}
	n := l.Units
	r := rng.Stream(seed, "stability/portrait")
	z := make([]T, trajectories*n)
	for i := range z {
		z[i] = T(r.NormFloat64())
	}
	leave := make([][][]float64, len(points))
	for i, p := range points {
		if p.Status != Saddle || n > MaxDense {
			continue
		}
		directions, err := unstable(ctx, l, x, p)
		if err != nil {
			return nil, err
		}
		leave[i] = directions
		for _, d := range directions[:min(most, len(directions))] {
			sides := []float64{aside, -aside}
			if p.rays != nil {
				sides = sides[:1]
			}
			for _, side := range sides {
				for k, v := range p.Z {
					z = append(z, T(v+side*math.Sqrt(float64(n))*d[k]))
				}
			}
		}
	}
	every, looks := 1.0, steps
	if dynamics == "rate" {
		every, looks = 0.1, 10*steps
	}
	s := &search[T]{layer: l, x: x}
	var paths [][][]float64
	err := s.batches(z, func(z []T) error {
		first := len(paths)
		paths = append(paths, make([][][]float64, len(z)/n)...)
		return run(ctx, l, x, z, dynamics, every, looks, func(_ int, gone []bool) bool {
			for b, g := range gone {
				if !g {
					paths[first+b] = append(paths[first+b], widen(z[b*n:(b+1)*n]))
				}
			}
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	var all []float64
	rows := 0
	for _, path := range paths {
		for _, z := range path {
			all = append(all, z...)
			rows++
		}
	}
	for _, p := range points {
		all = append(all, p.Z...)
		rows++
	}
	if rows < 2 {
		return nil, fmt.Errorf("stability: a portrait of %d states: expected at least 2", rows)
	}
	mean, axes, variance, err := principal(mat.NewDense(rows, n, all), 2)
	if err != nil {
		return nil, err
	}
	project := func(z, from []float64) (p [2]float64) {
		for k := range axes {
			for i, v := range z {
				p[k] += (v - from[i]) * axes[k][i]
			}
		}
		return p
	}
	out := &Portrait{Variance: variance}
	for _, path := range paths {
		var line [][2]float64
		for _, z := range path {
			line = append(line, project(z, mean))
		}
		out.Paths = append(out.Paths, line)
	}
	zero := make([]float64, n)
	for i, p := range points {
		out.Points = append(out.Points, project(p.Z, mean))
		var seen [][2]float64
		if p.Continuum != nil {
			for _, q := range p.Continuum.samples {
				seen = append(seen, project(q.z, mean))
			}
		}
		out.Continua = append(out.Continua, seen)
		var lines [][2]float64
		for _, d := range leave[i] {
			lines = append(lines, project(d, zero))
		}
		out.Unstable = append(out.Unstable, lines)
	}
	return out, nil
}

// principal returns the mean of rows, and the leading principal axes with the fractions of the variance that they have.
func principal(x *mat.Dense, k int) (mean []float64, axes [][]float64, variance [2]float64, err error) {
	rows, n := x.Dims()
	mean = make([]float64, n)
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			mean[j] += v / float64(rows)
		}
	}
	covariance, centred := mat.NewSymDense(n, nil), mat.DenseCopyOf(x)
	for i := range rows {
		for j := range n {
			centred.Set(i, j, x.At(i, j)-mean[j])
		}
	}
	covariance.SymOuterK(1, centred.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(covariance, true) {
		return nil, nil, variance, fmt.Errorf("stability: principal components: the eigenvalues did not converge")
	}
	values, vectors := eigen.Values(nil), new(mat.Dense) // ascending
	eigen.VectorsTo(vectors)
	total := mat.Trace(covariance)
	for d := range k {
		axis := make([]float64, n)
		if d < n {
			mat.Col(axis, n-1-d, vectors)
			if total > 0 {
				variance[d] = values[n-1-d] / total
			}
		}
		axes = append(axes, axis)
	}
	return mean, axes, variance, nil
}

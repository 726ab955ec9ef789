package tasktest

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"attractor/internal/rng"
	"attractor/train/tasks"
)

// Trials is [Learn] for trials, at the steps that are scored or, in a regression, that have a
// weight. Its predictors know the inputs up to the step and no later ones: all of them, with
// coefficients of their own at each step, or the state of a random network that forgets in a
// step or more slowly. The first that is clearly better than the constant counts.
func Trials(d *tasks.Dataset) (learned, constant float64) {
	constant = fitSteps(d, false, func(s tasks.Split, i int) [][]float64 {
		out := make([][]float64, s.Steps)
		for t := range out {
			out[t] = []float64{1}
		}
		return out
	})
	learned = fitSteps(d, true, history)
	for _, r := range []reservoir{newReservoir(d.Inputs, 0.9, 1), newReservoir(d.Inputs, 1, 0.3)} {
		if learned > learnable*constant {
			learned = min(learned, fitSteps(d, false, r.states))
		}
	}
	return learned, constant
}

// history is the inputs up to each step.
func history(s tasks.Split, i int) [][]float64 {
	out := make([][]float64, s.Steps)
	row := append([]float64{1}, s.Row(nil, i)...)
	for t := range out {
		out[t] = row[:1+(t+1)*s.Inputs()]
	}
	return out
}

// reservoir is a random network h ← (1−a)h + a·tanh(hWᵀ + xUᵀ + b) of 100 units, of which a
// quarter has each of a = 1, leak, leak², leak³.
type reservoir struct {
	units, inputs int
	leak          []float64
	w, u, b       []float64
}

func newReservoir(inputs int, gain, leak float64) reservoir {
	const units = 100
	random := rng.Stream(0, "tasktest/reservoir")
	normals := func(n int, sd float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = sd * random.NormFloat64()
		}
		return v
	}
	r := reservoir{units: units, inputs: inputs, w: normals(units*units, gain/math.Sqrt(float64(units))), u: normals(units*inputs, 1), b: normals(units, 0.3)}
	for i := range units {
		r.leak = append(r.leak, math.Pow(leak, float64(i%4)))
	}
	return r
}

// states is the state, the input and 1 at each step.
func (r reservoir) states(s tasks.Split, i int) [][]float64 {
	out := make([][]float64, s.Steps)
	x := s.Row(nil, i)
	h, next := make([]float64, r.units), make([]float64, r.units)
	for t := range out {
		in := x[t*r.inputs : (t+1)*r.inputs]
		for k := range next {
			sum := r.b[k]
			for j, v := range h {
				sum += r.w[k*r.units+j] * v
			}
			for j, v := range in {
				sum += r.u[k*r.inputs+j] * v
			}
			next[k] = (1-r.leak[k])*h[k] + r.leak[k]*math.Tanh(sum)
		}
		h, next = next, h
		out[t] = append(append([]float64{1}, in...), h...)
	}
	return out
}

// fitSteps returns the test error of the least-squares predictor of the given features of each
// step, with the same coefficients at all steps or with those of each step.
func fitSteps(d *tasks.Dataset, each bool, features func(s tasks.Split, i int) [][]float64) float64 {
	counts := func(s tasks.Split, i, t int) bool {
		return d.Kind == tasks.Classification && s.IsScored(i, t) || d.Kind == tasks.Regression && s.Weight(i, t) > 0
	}
	group := func(t int) int {
		if each {
			return t
		}
		return 0
	}
	// The rows of each group, one after the other.
	x, y := make([][]float64, d.Steps), make([][]float64, d.Steps)
	rows := make([]int, d.Steps)
	for i := range d.Train.N {
		f := features(d.Train, i)
		for t := range d.Steps {
			g := group(t)
			if !counts(d.Train, i, t) || rows[g] >= 6000 {
				continue
			}
			target := make([]float64, d.Outputs)
			at := i*d.Steps + t
			if d.Kind == tasks.Classification {
				target[d.Train.Labels[at]] = 1
			} else {
				copy(target, d.Train.Y[at*d.Outputs:])
			}
			x[g], y[g] = append(x[g], f[t]...), append(y[g], target...)
			rows[g]++
		}
	}
	beta := make([]*mat.Dense, d.Steps)
	for g, n := range rows {
		if n > 0 {
			beta[g] = leastSquares(mat.NewDense(n, len(x[g])/n, x[g]), mat.NewDense(n, d.Outputs, y[g]))
		}
	}
	sum, weight := 0.0, 0.0
	for i := range d.Test.N {
		f := features(d.Test, i)
		wrong, scored := 0.0, 0.0
		for t := range d.Steps {
			if !counts(d.Test, i, t) {
				continue
			}
			out := make([]float64, d.Outputs)
			if b := beta[group(t)]; b != nil {
				mat.NewDense(1, d.Outputs, out).Mul(mat.NewDense(1, len(f[t]), f[t]), b)
			}
			at := i*d.Steps + t
			if d.Kind == tasks.Classification {
				scored++
				if argmax(out) != int(d.Test.Labels[at]) {
					wrong++
				}
				continue
			}
			w := float64(d.Test.Weight(i, t))
			for k, v := range out {
				e := v - d.Test.Y[at*d.Outputs+k]
				sum += w * e * e / float64(d.Outputs)
			}
			weight += w
		}
		if d.Kind == tasks.Classification {
			sum += wrong / scored
			weight++
		}
	}
	return sum / weight
}

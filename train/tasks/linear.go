package tasks

import (
	"math"
	"math/rand/v2"

	"attractor/train/kit"
)

const linearDoc = `regression on a random linear teacher, for quick checks
Y = X·Aᵀ + noise·ε with X [n, inputs] and ε [n, outputs] of independent N(0, 1) and the
teacher A [outputs, inputs] of N(0, 1/inputs), so that Y has variance 1 + noise². All
three are drawn from the seed. No predictor has a mean squared error below noise².`

// Linear is regression on a random linear teacher; see its entry in [Catalog].
type Linear struct {
	kit.Zeros
	Inputs  int     `default:"8" doc:"width of a sample" max:"1e6: every input has weights to all units"`
	Outputs int     `default:"4" doc:"width of a target" max:"1e6: every output has weights from all units"`
	Train   int     `default:"256" doc:"samples to train on" max:"1e9: all samples are held in memory"`
	Test    int     `default:"128" doc:"samples to test on" max:"1e9: all samples are held in memory"`
	Noise   float64 `default:"0.1" doc:"standard deviation of the noise on the targets"`
}

// Load draws teacher and samples.
func (o Linear) Load(seed uint64) (*Dataset, error) {
	o = kit.WithDefaults(o)
	if err := CheckDrawn("linear", o.Noise,
		AtLeast{"inputs", o.Inputs, 1}, AtLeast{"outputs", o.Outputs, 1}, AtLeast{"train", o.Train, 1}, AtLeast{"test", o.Test, 1}); err != nil {
		return nil, err
	}
	a := Normals(kit.Stream(seed, "linear/teacher"), o.Outputs*o.Inputs, 1/math.Sqrt(float64(o.Inputs)))
	draw := func(part string, n int) Split {
		x := Normals(kit.Stream(seed, "linear/inputs/"+part), n*o.Inputs, 1)
		y := Normals(kit.Stream(seed, "linear/noise/"+part), n*o.Outputs, o.Noise)
		for i := range n {
			for k := range o.Outputs {
				for j := range o.Inputs {
					y[i*o.Outputs+k] += a[k*o.Inputs+j] * x[i*o.Inputs+j]
				}
			}
		}
		return Split{N: n, X: x, Y: y}
	}
	return &Dataset{Name: "linear", Kind: Regression, Inputs: o.Inputs, Outputs: o.Outputs,
		Train: draw("train", o.Train), Test: draw("test", o.Test)}, nil
}

// Normals draws n numbers from N(0, sd²).
func Normals(r *rand.Rand, n int, sd float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = sd * r.NormFloat64()
	}
	return v
}

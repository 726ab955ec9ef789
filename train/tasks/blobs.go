package tasks

import (
	"math"

	"attractor/train/kit"
)

const blobsDoc = `classification of Gaussian clusters on a circle, for quick checks
The centre of class c is (cos α, sin α, 0, …) with α = α₀ + 2πc/classes and α₀ drawn from
the seed; X [n, inputs] is the centre plus noise·N(0, 1) in every input. Sample i has the
label i mod classes. The best classifier errs about as often as noise·N(0, 1) exceeds
sin(π/classes) in absolute value (4 in 10,000 with the defaults).`

// Blobs is classification of Gaussian clusters; see its entry in [Catalog].
type Blobs struct {
	kit.Zeros
	Classes int     `default:"4" doc:"number of clusters, at least 2" max:"1e6: every class has an output"`
	Inputs  int     `default:"2" doc:"width of a sample, at least 2" max:"1e6: every input has weights to all units"`
	Train   int     `default:"256" doc:"samples to train on, at least one per class" max:"1e9: all samples are held in memory"`
	Test    int     `default:"128" doc:"samples to test on, at least one per class" max:"1e9: all samples are held in memory"`
	Noise   float64 `default:"0.2" doc:"standard deviation of a cluster (the circle has radius 1)"`
}

// Load draws the samples.
func (o Blobs) Load(seed uint64) (*Dataset, error) {
	o = kit.WithDefaults(o)
	if err := CheckDrawn("blobs", o.Noise,
		AtLeast{Key: "classes", Value: o.Classes, Min: 2}, AtLeast{Key: "inputs", Value: o.Inputs, Min: 2},
		AtLeast{Key: "train", Value: o.Train, Min: o.Classes}, AtLeast{Key: "test", Value: o.Test, Min: o.Classes}); err != nil {
		return nil, err
	}
	start := 2 * math.Pi * kit.Stream(seed, "blobs/angle").Float64()
	draw := func(part string, n int) Split {
		s := Split{N: n, X: Normals(kit.Stream(seed, "blobs/"+part), n*o.Inputs, o.Noise), Labels: make([]int32, n)}
		for i := range n {
			c := i % o.Classes
			sin, cos := math.Sincos(start + 2*math.Pi*float64(c)/float64(o.Classes))
			s.X[i*o.Inputs] += cos
			s.X[i*o.Inputs+1] += sin
			s.Labels[i] = int32(c)
		}
		return s
	}
	return &Dataset{Name: "blobs", Kind: Classification, Inputs: o.Inputs, Outputs: o.Classes,
		Train: draw("train", o.Train), Test: draw("test", o.Test)}, nil
}

package tasks

import (
	"math"

	"attractor/train/kit"
)

const (
	rfloSineDoc = `a periodic target without any input, as RFLO learning was tried on
y(t) = sin φ + 0.5·sin 2φ + 0.25·sin 4φ with φ = 2πt/steps. X is [trials, steps, 1] of 0, Y is
[trials, steps, 1]. Every step counts. A network begins with a state of 0.1 in all its units. All
trials are the same, those to test on too: there is nothing to generalise to, and an epoch is as
many updates as there are batches of trials. The best constant, 0, has a mean squared error of
0.65625.`

	murrayRef = `@article{murray2019local,
  author  = {Murray, James M.},
  title   = {Local Online Learning in Recurrent Networks with Random Feedback},
  journal = {eLife},
  volume  = {8},
  pages   = {e43299},
  year    = {2019},
  doi     = {10.7554/eLife.43299}
}`
)

// RFLOSine is the task of making a periodic output; see its entry in [Catalog].
type RFLOSine struct {
	Steps      int     `default:"100" doc:"steps of a trial, a period of the target" max:"1e6: every state of a trial is kept"`
	Start      float64 `default:"0.1" doc:"state of every unit at the beginning of a trial, without which nothing would move"`
	Trials     int     `default:"5000" doc:"trials to train on, all the same" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"1" doc:"trials to test on, the same again" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (RFLOSine) Sequential() {}

// Load makes the trials. The seed changes nothing.
func (o RFLOSine) Load(seed uint64) (*Dataset, error) {
	o = kit.WithDefaults(o)
	return trials{name: "rflo-sine", kind: Regression, inputs: 1, outputs: 1, steps: o.Steps, start: o.Start, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		for k := range t.y {
			phi := 2 * math.Pi * float64(k) / float64(o.Steps)
			t.y[k] = math.Sin(phi) + 0.5*math.Sin(2*phi) + 0.25*math.Sin(4*phi)
		}
	}}.load(seed)
}

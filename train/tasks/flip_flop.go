package tasks

import (
	"fmt"

	"attractor/train/kit"
)

const (
	flipFlopDoc = `flip-flop: hold the sign of the last pulse of each input
X is [trials, steps, bits]: 0, and with the given probability a pulse of 1 or -1, each as likely,
in each step and each input on its own. Y is [trials, steps, bits]: the last pulse of the input
up to that step, 0 before the first one. Every step counts.`

	sussilloRef = `@article{sussillo2013opening,
  author  = {Sussillo, David and Barak, Omri},
  title   = {Opening the Black Box: Low-Dimensional Dynamics in High-Dimensional Recurrent Neural Networks},
  journal = {Neural Computation},
  volume  = {25},
  number  = {3},
  pages   = {626--649},
  year    = {2013},
  doi     = {10.1162/NECO_a_00409}
}`
)

// FlipFlop is the task of holding signs; see its entry in [Catalog].
type FlipFlop struct {
	Bits       int     `default:"3" doc:"number of inputs and of outputs" max:"1e6: every bit has an input and an output"`
	Steps      int     `default:"100" doc:"steps of a trial" max:"1e6: every state of a trial is kept"`
	Pulse      float64 `default:"0.05" doc:"probability of a pulse in a step"`
	Trials     int     `default:"6400" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"1000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (FlipFlop) Sequential() {}

// Load draws the trials.
func (o FlipFlop) Load(seed uint64) (*Dataset, error) {
	const name = "flip-flop"
	o = kit.WithDefaults(o)
	if err := checkSizes(name, 1, AtLeast{"bits", o.Bits, 1}); err != nil {
		return nil, err
	}
	if !(o.Pulse > 0 && o.Pulse <= 1) {
		return nil, fmt.Errorf("tasks: %s: pulse: expected a probability above 0 and at most 1, found %v", name, o.Pulse)
	}
	return trials{name: name, kind: Regression, inputs: o.Bits, outputs: o.Bits, steps: o.Steps, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		for i := range t.x {
			u := t.Float64()
			switch {
			case u < o.Pulse/2:
				t.x[i] = -1
			case u < o.Pulse:
				t.x[i] = 1
			}
			switch {
			case t.x[i] != 0:
				t.y[i] = t.x[i]
			case i >= o.Bits:
				t.y[i] = t.y[i-o.Bits]
			}
		}
	}}.load(seed)
}

package tasks

import "attractor/train/kit"

const (
	addingDoc = `the adding problem: the sum of the two numbers that were marked
X is [trials, steps, 2]: input 0 is uniform from 0 to 1; input 1 is 1 in one step of the first half
and in one of the second, at random, and 0 elsewhere. Y is [trials, steps, 1]: the sum of the two
marked numbers, which counts at the last step alone. The best constant, 1, has a mean squared error
of 1/6. The original's numbers are from -1 to 1; these are those of Le, Jaitly & Hinton (2015,
arXiv 1504.00941).`

	hochreiterRef = `@article{hochreiter1997long,
  author  = {Hochreiter, Sepp and Schmidhuber, J{\"u}rgen},
  title   = {Long Short-Term Memory},
  journal = {Neural Computation},
  volume  = {9},
  number  = {8},
  pages   = {1735--1780},
  year    = {1997},
  doi     = {10.1162/neco.1997.9.8.1735}
}`

	leRef = `@misc{le2015simple,
  author        = {Le, Quoc V. and Jaitly, Navdeep and Hinton, Geoffrey E.},
  title         = {A Simple Way to Initialize Recurrent Networks of Rectified Linear Units},
  year          = {2015},
  eprint        = {1504.00941},
  archivePrefix = {arXiv}
}`
)

// Adding is the adding problem; see its entry in [Catalog].
type Adding struct {
	Steps      int `default:"100" doc:"steps of a trial, at least 2" max:"1e6: every state of a trial is kept"`
	Trials     int `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (Adding) Sequential() {}

// Load draws the trials.
func (o Adding) Load(seed uint64) (*Dataset, error) {
	const name = "adding"
	o = kit.WithDefaults(o)
	if err := checkSizes(name, 1, AtLeast{"steps", o.Steps, 2}); err != nil {
		return nil, err
	}
	return trials{name: name, kind: Regression, inputs: 2, outputs: 1, steps: o.Steps, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		half := o.Steps / 2
		first, second := t.IntN(half), half+t.IntN(o.Steps-half)
		for k := range o.Steps {
			t.x[2*k] = t.Float64()
		}
		t.x[2*first+1], t.x[2*second+1] = 1, 1
		t.y[o.Steps-1] = t.x[2*first] + t.x[2*second]
		t.ignore(span{0, o.Steps - 1})
	}}.load(seed)
}

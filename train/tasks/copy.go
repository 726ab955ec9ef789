package tasks

import "attractor/train/kit"

const (
	copyDoc = `copy: the input of some steps ago
The label at step t is s(t - delay), with s of 0 or 1, each as likely. X is [trials, steps, 1],
Labels is [trials, steps]. The first steps, as many as the delay, do not count.`

	engelkenRef = `@inproceedings{engelken2023gradient,
  author        = {Engelken, Rainer},
  title         = {Gradient Flossing: Improving Gradient Descent through Dynamic Control of {Jacobians}},
  booktitle     = {Advances in Neural Information Processing Systems},
  volume        = {36},
  year          = {2023},
  eprint        = {2312.17306},
  archivePrefix = {arXiv}
}`
)

// Copy is the task of telling what the input was; see its entry in [Catalog].
type Copy struct {
	kit.Zeros
	Delay      int `default:"10" doc:"steps since the input that is asked for" max:"1e6: no trial has more steps"`
	Steps      int `default:"100" doc:"steps of a trial, more than the delay" max:"1e6: every state of a trial is kept"`
	Trials     int `default:"6400" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int `default:"1000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (Copy) Sequential() {}

// Load draws the trials.
func (o Copy) Load(seed uint64) (*Dataset, error) {
	const name = "copy"
	o = kit.WithDefaults(o)
	if err := checkSizes(name, 1, AtLeast{"delay", o.Delay, 0}, AtLeast{"steps", o.Steps, 1 + o.Delay}); err != nil {
		return nil, err
	}
	return trials{name: name, inputs: 1, outputs: 2, steps: o.Steps, ideal: 1, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		t.bits(o.Delay, func(s []int32) int32 { return s[0] })
	}}.load(seed)
}

// bits draws the only input, of 0 or 1. The label of each step is made of the last bits, as many
// as the reach and the one of the step; the first steps, as many as the reach, do not count.
func (t *trial) bits(reach int, label func(s []int32) int32) {
	s := make([]int32, len(t.x))
	for k := range s {
		s[k] = int32(t.IntN(2))
		t.x[k] = float64(s[k])
		if k >= reach {
			t.labels[k] = label(s[k-reach : k+1])
		}
	}
	t.ignore(span{0, reach})
}

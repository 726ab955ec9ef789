package tasks

import "attractor/train/kit"

const xorDoc = `exclusive or of the input at two times in the past
The label at step t is s(t - delay) ⊕ s(t - 2·delay), with s of 0 or 1, each as likely. X is
[trials, steps, 1], Labels is [trials, steps]. The first 2·delay steps do not count. Who knows only
one of the two inputs is right half of the time.`

// XOR is the task of comparing what the input was; see its entry in [Catalog].
type XOR struct {
	Delay      int `default:"10" doc:"steps since the first input; the second is as many steps older" max:"1e6: no trial has more steps"`
	Steps      int `default:"100" doc:"steps of a trial, more than twice the delay" max:"1e6: every state of a trial is kept"`
	Trials     int `default:"6400" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int `default:"1000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (XOR) Sequential() {}

// Load draws the trials.
func (o XOR) Load(seed uint64) (*Dataset, error) {
	const name = "xor"
	o = kit.WithDefaults(o)
	if err := checkSizes(name, 1, AtLeast{"delay", o.Delay, 1}, AtLeast{"steps", o.Steps, 1 + 2*o.Delay}); err != nil {
		return nil, err
	}
	return trials{name: name, inputs: 1, outputs: 2, steps: o.Steps, ideal: 1, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		t.bits(2*o.Delay, func(s []int32) int32 { return s[0] ^ s[o.Delay] })
	}}.load(seed)
}

package tasks

import (
	"fmt"

	"attractor/train/kit"
)

const (
	readySetGoDoc = `ready, set, go: measure the time between two cues and reproduce it (neurogym)
A trial of ms/dt steps, after ReadySetGo of neurogym:

	fixation  ready           measure  set  production   steps   ideal observer
	     100     83  uniform 800 1500   83   2·measure    ≤ 56            1.000

The measure begins with the end of the fixation, so that the ready cue is its first part; the
production lasts twice as many steps as the measure. X is [trials, steps, 3]: input 0 is 1 before
the production, input 1 is 1 in the ready cue, input 2 in the set cue. There is no noise. Labels is
[trials, steps]: 0, wait, and 1 in one step, after as many steps of the production as the measure
has. The production is scored; waiting throughout is right in about 96 of 100 of its steps.
Trials are padded to the longest there can be; the weights of these steps are 0. All versions of
neurogym agree.`

	remingtonRef = `@article{remington2018flexible,
  author  = {Remington, Evan D. and Narain, Devika and Hosseini, Eghbal A. and Jazayeri, Mehrdad},
  title   = {Flexible Sensorimotor Computations through Rapid Reconfiguration of Cortical Dynamics},
  journal = {Neuron},
  volume  = {98},
  number  = {5},
  pages   = {1005--1019},
  year    = {2018},
  doi     = {10.1016/j.neuron.2018.05.020}
}`
)

// ReadySetGo is the task of reproducing a time; see its entry in [Catalog].
type ReadySetGo struct {
	DT         float64 `default:"80" doc:"ms of a step"`
	Fixation   Period  `default:"100" doc:"ms before the ready cue: a number, or uniform MIN MAX, or exponential MEAN MIN MAX"`
	Ready      Period  `default:"83" doc:"ms of the ready cue"`
	Measure    Period  `default:"uniform 800 1500" doc:"ms from the beginning of the ready cue to that of the set cue"`
	Set        Period  `default:"83" doc:"ms of the set cue"`
	Trials     int     `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (ReadySetGo) Sequential() {}

// Load draws the trials.
func (o ReadySetGo) Load(seed uint64) (*Dataset, error) {
	const name = "ready-set-go"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, "", 0}, phase{"ready", o.Ready, "", 1}, phase{"measure", o.Measure, "", 1}, phase{"set", o.Set, "", 1})
	if err != nil {
		return nil, err
	}
	fixation, ready, measure, set := times.phases[0], times.phases[1], times.phases[2], times.phases[3]
	if ready.longest() > int(measure.min) {
		return nil, fmt.Errorf("tasks: %s: ready: expected no more than the measure, of which it is the first part, found %q of %q", name, o.Ready, o.Measure)
	}
	steps := fixation.longest() + 3*measure.longest() + set.longest()
	return trials{name: name, inputs: 3, outputs: 2, steps: steps, ideal: 1, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		from := fixation.draw(t.Rand)
		cue, m := ready.draw(t.Rand), measure.draw(t.Rand)
		to := from + m + set.draw(t.Rand)
		t.add(span{0, to}, 0, 1)
		t.add(span{from, from + cue}, 1, 1)
		t.add(span{from + m, to}, 2, 1)
		t.decide(span{to, to + 2*m}, 0)
		t.labels[to+m] = 1
	}}.load(seed)
}

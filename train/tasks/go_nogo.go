package tasks

import "attractor/train/kit"

const (
	goNogoDoc = `go or no-go: act, or not, as the stimulus before a delay said (neurogym)
A trial of ms/dt steps, after GoNogo of neurogym:

	fixation  stimulus  delay  decision   steps   ideal observer
	       0       500    500       500      15            1.000

X is [trials, steps, 3]. Input 0 is 1 before the decision. In the stimulus input 1 is 1 in a no-go
trial and input 2 in a go trial, each as likely. There is no noise. Labels is [trials, steps]: 0,
fixate, and in the decision, which is scored, 1 in a go trial. All versions of neurogym agree.`

	zhangRef = `@article{zhang2019active,
  author  = {Zhang, Xiaoxing and Yan, Wenjun and Wang, Wenliang and Fan, Hongmei and Hou, Ruiqing and Chen, Yulei and Chen, Zhaoqin and Ge, Chaofan and
             Duan, Shumin and Compte, Albert and Li, Chengyu T.},
  title   = {Active Information Maintenance in Working Memory by a Sensory Cortex},
  journal = {eLife},
  volume  = {8},
  pages   = {e43191},
  year    = {2019},
  doi     = {10.7554/eLife.43191}
}`
)

// GoNogo is the task of acting or not as a stimulus said; see its entry in [Catalog].
type GoNogo struct {
	DT         float64 `default:"100" doc:"ms of a step"`
	Fixation   Period  `default:"0" doc:"ms before the stimulus: a number, or uniform MIN MAX, or exponential MEAN MIN MAX"`
	Stimulus   Period  `default:"500" doc:"ms of the stimulus"`
	Delay      Period  `default:"500" doc:"ms between stimulus and decision"`
	Decision   Period  `default:"500" doc:"ms to decide"`
	Trials     int     `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (GoNogo) Sequential() {}

// Load draws the trials.
func (o GoNogo) Load(seed uint64) (*Dataset, error) {
	const name = "gonogo"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, "", 0}, phase{"stimulus", o.Stimulus, "", 1}, phase{"delay", o.Delay, "", 0}, phase{"decision", o.Decision, "", 1})
	if err != nil {
		return nil, err
	}
	return trials{name: name, inputs: 3, outputs: 2, steps: times.steps(), ideal: 1, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		when := times.draw(t.Rand)
		stimulus, decision := when[1], when[3]
		act := t.IntN(2)
		t.add(span{0, decision.from}, 0, 1)
		t.add(stimulus, 1+act, 1)
		t.decide(decision, act)
	}}.load(seed)
}

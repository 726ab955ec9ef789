package tasks

import "attractor/train/kit"

const (
	delayMatchSampleDoc = `delayed match to sample: are two stimuli, a delay apart, the same? (neurogym)
A trial of ms/dt steps, after DelayMatchSample of neurogym:

	timing    fixation  sample  delay  test  decision   steps   ideal observer
	neurogym       300     500   1000   500       900      32            1.000
	lab              0     100    500   100       100       8            1.000

X is [trials, steps, 3]. Input 0 is 1 before the decision. Of inputs 1 and 2 one, at random, is 1
in the sample and one in the test, plus noise σ/√dt·N(0, 1) on both in each of these steps (0.1
with the defaults; dt in ms). Labels is [trials, steps]: 0, fixate, and in the decision, which is
scored, 1 for a match or 2 for none. All versions of neurogym agree.`

	millerRef = `@article{miller1996neural,
  author  = {Miller, Earl K. and Erickson, Cynthia A. and Desimone, Robert},
  title   = {Neural Mechanisms of Visual Working Memory in Prefrontal Cortex of the Macaque},
  journal = {Journal of Neuroscience},
  volume  = {16},
  number  = {16},
  pages   = {5154--5167},
  year    = {1996},
  doi     = {10.1523/JNEUROSCI.16-16-05154.1996}
}`
)

// DelayMatchSample is the task of telling whether two stimuli are the same; see its entry in
// [Catalog].
type DelayMatchSample struct {
	kit.Zeros
	Sigma      float64 `default:"1" doc:"noise: σ/√dt in a step, with dt in ms"`
	Noiseless  bool    `default:"false" doc:"no noise"`
	Timing     string  `default:"neurogym" choices:"neurogym,lab" doc:"the durations that are not given below"`
	DT         float64 `default:"100" doc:"ms of a step"`
	Fixation   Period  `default:"" doc:"ms before the sample: a number, or uniform MIN MAX, or exponential MEAN MIN MAX"`
	Sample     Period  `default:"" doc:"ms of the first stimulus"`
	Delay      Period  `default:"" doc:"ms between the stimuli"`
	Test       Period  `default:"" doc:"ms of the second stimulus"`
	Decision   Period  `default:"" doc:"ms to decide"`
	Trials     int     `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (DelayMatchSample) Sequential() {}

// Load draws the trials.
func (o DelayMatchSample) Load(seed uint64) (*Dataset, error) {
	const name = "dms"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, byTiming(o.Timing, "300", "0"), 0},
		phase{"sample", o.Sample, byTiming(o.Timing, "500", "100"), 0},
		phase{"delay", o.Delay, byTiming(o.Timing, "1000", "500"), 0},
		phase{"test", o.Test, byTiming(o.Timing, "500", "100"), 0},
		phase{"decision", o.Decision, byTiming(o.Timing, "900", "100"), 1})
	if err != nil {
		return nil, err
	}
	noise, err := noiseOf(name, o.Sigma, o.Noiseless, o.DT)
	if err != nil {
		return nil, err
	}
	s := trials{name: name, inputs: 3, outputs: 3, steps: times.steps(), train: o.Trials, test: o.TestTrials}
	first, fixed := times.phases[1].fixed()
	if second, ok := times.phases[3].fixed(); ok && fixed {
		// Right if both stimuli are taken for what they are, or neither.
		p, q := discrimination(1, first, noise), discrimination(1, second, noise)
		s.ideal = p*q + (1-p)*(1-q)
	}
	s.draw = func(t *trial) {
		when := times.draw(t.Rand)
		sample, test, decision := when[1], when[3], when[4]
		stimulus, other := t.IntN(2), t.IntN(2)
		t.add(span{0, decision.from}, 0, 1)
		t.opposed(sample, 1, stimulus, 1)
		t.opposed(test, 1, stimulus^other, 1)
		t.noise(sample, span{1, 3}, noise)
		t.noise(test, span{1, 3}, noise)
		t.decide(decision, 1+other)
	}
	return s.load(seed)
}

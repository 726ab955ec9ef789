package tasks

import "attractor/train/kit"

const (
	delayComparisonDoc = `delayed comparison: which of two stimuli, a delay apart, is the stronger? (neurogym)
A trial of ms/dt steps, after DelayComparison of neurogym:

	fixation  stimulus1  delay  stimulus2  decision   steps   ideal observer
	     500        500   1000        500       100      26             .997

X is [trials, steps, 2]. Input 0 is 1 before the decision. Input 1 is (1 + (v - 10)/24)/2 in the
first and in the second stimulus, with v = v₁ and v₂ one of the pairs (18, 10), (22, 14), (26, 18),
(30, 22) and (34, 26), in either order, all as likely. Both inputs have noise σ/√dt·N(0, 1) in each
of these steps (0.1 with the defaults; dt in ms). Labels is [trials, steps]: 0, fixate, and in the
decision, which is scored, 1 if v₁ > v₂ or else 2. The ideal observer knows the pairs. All
versions of neurogym agree.`

	barakRef = `@article{barak2010neuronal,
  author  = {Barak, Omri and Tsodyks, Misha and Romo, Ranulfo},
  title   = {Neuronal Population Coding of Parametric Working Memory},
  journal = {Journal of Neuroscience},
  volume  = {30},
  number  = {28},
  pages   = {9424--9430},
  year    = {2010},
  doi     = {10.1523/JNEUROSCI.1875-10.2010}
}`
)

// comparedPairs are the strengths that are compared; they lie between 10 and 34.
var comparedPairs = [][2]float64{{18, 10}, {22, 14}, {26, 18}, {30, 22}, {34, 26}}

// DelayComparison is the task of telling which of two stimuli is the stronger; see its entry in
// [Catalog].
type DelayComparison struct {
	kit.Zeros
	Sigma      float64 `default:"1" doc:"noise: σ/√dt in a step, with dt in ms"`
	Noiseless  bool    `default:"false" doc:"no noise"`
	DT         float64 `default:"100" doc:"ms of a step"`
	Fixation   Period  `default:"500" doc:"ms before the stimuli: a number, or uniform MIN MAX, or exponential MEAN MIN MAX"`
	Stimulus1  Period  `default:"500" doc:"ms of the first stimulus"`
	Delay      Period  `default:"1000" doc:"ms between the stimuli"`
	Stimulus2  Period  `default:"500" doc:"ms of the second stimulus"`
	Decision   Period  `default:"100" doc:"ms to decide"`
	Trials     int     `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int     `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (DelayComparison) Sequential() {}

// Load draws the trials.
func (o DelayComparison) Load(seed uint64) (*Dataset, error) {
	const name = "delay-comparison"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, "", 0}, phase{"stimulus1", o.Stimulus1, "", 0}, phase{"delay", o.Delay, "", 0},
		phase{"stimulus2", o.Stimulus2, "", 0}, phase{"decision", o.Decision, "", 1})
	if err != nil {
		return nil, err
	}
	noise, err := noiseOf(name, o.Sigma, o.Noiseless, o.DT)
	if err != nil {
		return nil, err
	}
	return trials{name: name, inputs: 2, outputs: 3, steps: times.steps(), train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		when := times.draw(t.Rand)
		decision := when[4]
		pair, second := pick(t, comparedPairs), t.IntN(2) // the pair's stronger one comes second
		t.add(span{0, decision.from}, 0, 1)
		for i, stimulus := range []span{when[1], when[3]} {
			t.add(stimulus, 1, (1+(pair[i^second]-10)/24)/2)
			t.noise(stimulus, span{0, 2}, noise)
		}
		t.decide(decision, 1+second)
	}}.load(seed)
}

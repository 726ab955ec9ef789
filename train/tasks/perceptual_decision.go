package tasks

import "attractor/train/kit"

const (
	perceptualDecisionDoc = `two-alternative forced choice: which of two noisy inputs is the higher? (neurogym)
A trial of ms/dt steps, after PerceptualDecisionMaking of neurogym:

	timing    fixation  stimulus  delay  decision   steps   ideal observer
	neurogym       100      2000      0       100      22             .896
	lab              0       700      0       100       8             .875

X is [trials, steps, 3]. Input 0 is 1 in the fixation (version head) or in all but the decision
(v0.0.1). Inputs 1 and 2 are 0.5 ± c/200 in the stimulus, with the coherence c in percent drawn
from the list and the higher one at random, plus noise σ/√dt·N(0, 1) in each step (0.1 with the
defaults; dt in ms). Labels is [trials, steps]: 0, fixate, and in the decision, which is scored,
1 or 2 for the higher input. The ideal observer sums the difference over the stimulus.`

	brittenRef = `@article{britten1992analysis,
  author  = {Britten, Kenneth H. and Shadlen, Michael N. and Newsome, William T. and Movshon, J. Anthony},
  title   = {The Analysis of Visual Motion: A Comparison of Neuronal and Psychophysical Performance},
  journal = {Journal of Neuroscience},
  volume  = {12},
  number  = {12},
  pages   = {4745--4765},
  year    = {1992},
  doi     = {10.1523/JNEUROSCI.12-12-04745.1992}
}`
)

// PerceptualDecision is the task of telling which of two noisy inputs is the higher; see its
// entry in [Catalog].
type PerceptualDecision struct {
	kit.Zeros
	Coherences []float64 `default:"0,6.4,12.8,25.6,51.2" doc:"coherences in percent, each as likely"`
	Sigma      float64   `default:"1" doc:"noise: σ/√dt in a step, with dt in ms"`
	Noiseless  bool      `default:"false" doc:"no noise"`
	Version    string    `default:"head" choices:"v0.0.1,head" doc:"version of neurogym: until when the fixation input is on"`
	Timing     string    `default:"neurogym" choices:"neurogym,lab" doc:"the durations that are not given below"`
	DT         float64   `default:"100" doc:"ms of a step"`
	Fixation   Period    `default:"" doc:"ms before the stimulus: a number, or uniform MIN MAX, or exponential MEAN MIN MAX"`
	Stimulus   Period    `default:"" doc:"ms of the stimulus"`
	Delay      Period    `default:"" doc:"ms between stimulus and decision"`
	Decision   Period    `default:"" doc:"ms to decide"`
	Trials     int       `default:"16000" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int       `default:"2000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (PerceptualDecision) Sequential() {}

// Load draws the trials.
func (o PerceptualDecision) Load(seed uint64) (*Dataset, error) {
	const name = "2af"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, byTiming(o.Timing, "100", "0"), 0},
		phase{"stimulus", o.Stimulus, byTiming(o.Timing, "2000", "700"), 0},
		phase{"delay", o.Delay, "0", 0},
		phase{"decision", o.Decision, "100", 1})
	if err != nil {
		return nil, err
	}
	noise, err := noiseOf(name, o.Sigma, o.Noiseless, o.DT)
	if err != nil {
		return nil, err
	}
	if err := checkCoherences(name, o.Coherences); err != nil {
		return nil, err
	}
	s := trials{name: name, inputs: 3, outputs: 3, steps: times.steps(), train: o.Trials, test: o.TestTrials}
	if n, ok := times.phases[1].fixed(); ok {
		s.ideal = coherent(o.Coherences, n, noise)
	}
	s.draw = func(t *trial) {
		when := times.draw(t.Rand)
		fixation, stimulus, delay, decision := when[0], when[1], when[2], when[3]
		higher, coherence := t.IntN(2), pick(t, o.Coherences)
		if o.Version == firstVersion {
			fixation.to = delay.to
		}
		t.add(fixation, 0, 1)
		t.opposed(stimulus, 1, higher, coherence/100)
		t.noise(stimulus, span{1, 3}, noise)
		t.decide(decision, 1+higher)
	}
	return s.load(seed)
}

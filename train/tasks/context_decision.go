package tasks

import "attractor/train/kit"

const (
	contextDecisionDoc = `context-dependent decision: which input of the modality that the context tells? (neurogym)
A trial of ms/dt steps, after ContextDecisionMaking of neurogym (in today's with an explicit
context):

	timing    fixation  stimulus                     delay  decision   steps   ideal observer
	neurogym       300       750  exponential 600 300 3000       100    ≤ 40             .941
	lab              0       200                       500       100       8             .875

X is [trials, steps, 7]: fixation, two inputs of each of two modalities, and two contexts. In the
stimulus the two inputs of a modality are 0.5 ± c/200, with the coherence c in percent drawn from
the list and the higher one at random, both for each modality on its own. Input 5 is 1 throughout
if the first modality counts, input 6 if the second. In version head input 0 is 1 in the fixation
and each stimulus input has noise σ/√dt·N(0, 1) in the steps of the stimulus (0.1 with the
defaults; dt in ms); in v0.0.1 input 0 is 1 until the decision, and all seven have the noise.
Labels is [trials, steps]: 0, fixate, and in the decision, which is scored, 1 or 2 for the higher
input of the modality that counts. Trials are padded to the longest there can be; the weights of
these steps are 0. The ideal observer sums the difference over the stimulus.`

	manteRef = `@article{mante2013context,
  author  = {Mante, Valerio and Sussillo, David and Shenoy, Krishna V. and Newsome, William T.},
  title   = {Context-Dependent Computation by Recurrent Dynamics in Prefrontal Cortex},
  journal = {Nature},
  volume  = {503},
  pages   = {78--84},
  year    = {2013},
  doi     = {10.1038/nature12742}
}`
)

// ContextDecision is the task of telling which of two noisy inputs is the higher, in the
// modality that counts; see its entry in [Catalog].
type ContextDecision struct {
	kit.Zeros
	Coherences []float64 `default:"5,15,50" doc:"coherences in percent, each as likely"`
	Sigma      float64   `default:"1" doc:"noise: σ/√dt in a step, with dt in ms"`
	Noiseless  bool      `default:"false" doc:"no noise"`
	Version    string    `default:"head" choices:"v0.0.1,head" doc:"version of neurogym: until when the fixation input is on, and which inputs have noise"`
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
func (ContextDecision) Sequential() {}

// Load draws the trials.
func (o ContextDecision) Load(seed uint64) (*Dataset, error) {
	const name = "cxt"
	o = kit.WithDefaults(o)
	times, err := newTimetable(name, o.DT,
		phase{"fixation", o.Fixation, byTiming(o.Timing, "300", "0"), 0},
		phase{"stimulus", o.Stimulus, byTiming(o.Timing, "750", "200"), 0},
		phase{"delay", o.Delay, byTiming(o.Timing, "exponential 600 300 3000", "500"), 0},
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
	s := trials{name: name, inputs: 7, outputs: 3, steps: times.steps(), train: o.Trials, test: o.TestTrials}
	if n, ok := times.phases[1].fixed(); ok {
		s.ideal = coherent(o.Coherences, n, noise)
	}
	s.draw = func(t *trial) {
		when := times.draw(t.Rand)
		fixation, stimulus, decision := when[0], when[1], when[3]
		context := t.IntN(2)
		var higher [2]int
		noisy := span{1, 5}
		if o.Version == firstVersion {
			fixation.to, noisy = decision.from, span{0, 7}
		}
		t.add(fixation, 0, 1)
		for modality := range higher {
			higher[modality] = t.IntN(2)
			t.opposed(stimulus, 1+2*modality, higher[modality], pick(t, o.Coherences)/100)
		}
		t.add(span{0, decision.to}, 5+context, 1)
		t.noise(stimulus, noisy, noise)
		t.decide(decision, 1+higher[context])
	}
	return s.load(seed)
}

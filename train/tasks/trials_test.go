package tasks_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

// timings are the tasks of neurogym with the steps at which the parts of a trial that has no
// random duration begin, by ⌊ms/dt⌋ of the table of each task's entry; the last one is the end.
var timings = []struct {
	name  string
	task  tasks.Task
	parts []int
	fix   int // steps for which the fixation input is on
	noisy map[int][]int
}{
	{"2af", tasks.PerceptualDecision{}, []int{0, 1, 21, 21, 22}, 1, map[int][]int{1: {1, 2}}},
	{"2af/lab", tasks.PerceptualDecision{Timing: "lab"}, []int{0, 0, 7, 7, 8}, 0, map[int][]int{1: {1, 2}}},
	{"2af/v0.0.1", tasks.PerceptualDecision{Version: "v0.0.1"}, []int{0, 1, 21, 21, 22}, 21, map[int][]int{1: {1, 2}}},
	{"2af/v0.0.1/delay", tasks.PerceptualDecision{Version: "v0.0.1", Delay: "350"}, []int{0, 1, 21, 24, 25}, 24, map[int][]int{1: {1, 2}}},
	{"2af/dt=20", tasks.PerceptualDecision{DT: 20}, []int{0, 5, 105, 105, 110}, 5, map[int][]int{1: {1, 2}}},
	{"dms", tasks.DelayMatchSample{}, []int{0, 3, 8, 18, 23, 32}, 23, map[int][]int{1: {1, 2}, 3: {1, 2}}},
	{"dms/lab", tasks.DelayMatchSample{Timing: "lab"}, []int{0, 0, 1, 6, 7, 8}, 7, map[int][]int{1: {1, 2}, 3: {1, 2}}},
	{"cxt/delay", tasks.ContextDecision{Delay: "990"}, []int{0, 3, 10, 19, 20}, 3, map[int][]int{1: {1, 2, 3, 4}}},
	{"cxt/lab", tasks.ContextDecision{Timing: "lab"}, []int{0, 0, 2, 7, 8}, 0, map[int][]int{1: {1, 2, 3, 4}}},
	{"cxt/lab/v0.0.1", tasks.ContextDecision{Timing: "lab", Version: "v0.0.1"}, []int{0, 0, 2, 7, 8}, 7, map[int][]int{1: {0, 1, 2, 3, 4, 5, 6}}},
	{"gonogo", tasks.GoNogo{}, []int{0, 0, 5, 10, 15}, 10, nil},
	{"delay-comparison", tasks.DelayComparison{}, []int{0, 5, 10, 20, 25, 26}, 25, map[int][]int{1: {0, 1}, 3: {0, 1}}},
	{"ready-set-go/measure", tasks.ReadySetGo{Measure: "1000"}, []int{0, 1, 2, 13, 14, 38}, 14, nil},
}

func TestTimings(t *testing.T) {
	for _, c := range timings {
		t.Run(c.name, func(t *testing.T) {
			noisy := few(t, c.task, 800)
			d, silent := load(t, noisy, 3), load(t, tasktest.With(t, noisy, "noiseless", true), 3)
			end := len(c.parts) - 1
			if d.Steps != c.parts[end] || d.Train.Weights != nil {
				t.Fatalf("%d steps, weights %v; want %d and none", d.Steps, d.Train.Weights != nil, c.parts[end])
			}
			s, quiet := d.Train, silent.Train
			for step := range d.Steps {
				part := slices.IndexFunc(c.parts[1:], func(to int) bool { return step < to })
				if scored := part == end-1; s.IsScored(7, step) != scored {
					t.Errorf("step %d: scored %v, want %v", step, !scored, scored)
				}
				squares := make([]float64, d.Inputs)
				for i := range s.N {
					at := i*d.Steps + step
					if quiet.Labels[at] != s.Labels[at] || part < end-1 && s.Labels[at] != 0 {
						t.Fatalf("trial %d, step %d: label %d, and %d without noise", i, step, s.Labels[at], quiet.Labels[at])
					}
					if got := quiet.X[at*d.Inputs] == 1; got != (step < c.fix) {
						t.Fatalf("trial %d, step %d: fixation input %v", i, step, got)
					}
					for j := range squares {
						e := s.X[at*d.Inputs+j] - quiet.X[at*d.Inputs+j]
						squares[j] += e * e
					}
				}
				for j, sum := range squares {
					want := 0.0
					if slices.Contains(c.noisy[part], j) {
						want = 1 / math.Sqrt(map[bool]float64{true: 20, false: 100}[c.name == "2af/dt=20"])
					}
					// The standard deviation of 800 has a relative error of 1/√1600.
					if got := math.Sqrt(sum / float64(s.N)); !(math.Abs(got-want) <= 4*want/math.Sqrt(2*float64(s.N))) {
						t.Errorf("step %d, input %d: noise %.4f, want %.4f", step, j, got, want)
					}
				}
			}
		})
	}
}

// Random durations keep to their range and distribution: the mean delay of cxt is that of an
// exponential distribution of mean 600 between 300 and 3000 ms, rounded down to steps.
func TestRandomDurations(t *testing.T) {
	length := func(s tasks.Split, i int) int {
		n := 0
		for step := range s.Steps {
			if s.Weight(i, step) > 0 {
				n = step + 1
			}
		}
		return n
	}
	d := load(t, tasks.ContextDecision{}, 1)
	mean, count := 0.0, map[int]int{}
	for i := range d.Train.N {
		delay := length(d.Train, i) - 11
		count[delay]++
		mean += float64(delay) / float64(d.Train.N)
	}
	cdf := func(ms float64) float64 { return (1 - math.Exp(-(ms-300)/600)) / (1 - math.Exp(-2700./600)) }
	want := 0.0
	for k := 3; k < 30; k++ {
		p := cdf(float64(100*k+100)) - cdf(float64(100*k))
		want += float64(k) * p
		if got := float64(count[k]) / float64(d.Train.N); !(math.Abs(got-p) <= 4.5*math.Sqrt(p/float64(d.Train.N))) {
			t.Errorf("a delay of %d steps in %.4f of the trials, want %.4f", k, got, p)
		}
	}
	if d.Steps != 40 || !(math.Abs(mean-want) <= 0.2) || len(count) > 27 {
		t.Errorf("%d steps, mean delay %.2f, want 40 and %.2f; delays %v", d.Steps, mean, want, count)
	}
	rsg := load(t, few(t, tasks.ReadySetGo{}, 4000), 1)
	count = map[int]int{}
	for i := range rsg.Train.N {
		n := length(rsg.Train, i)
		m := (n - 2) / 3 // fixation, measure, set, production of twice the measure
		count[m]++
		labels := rsg.Train.Labels[i*rsg.Steps : (i+1)*rsg.Steps]
		if n != 2+3*m || slices.Index(labels, 1) != 2+2*m || rsg.Train.X[(i*rsg.Steps+1)*3+1] != 1 || rsg.Train.X[(i*rsg.Steps+1+m)*3+2] != 1 {
			t.Fatalf("trial %d: %d steps, labels %v", i, n, labels)
		}
	}
	// 800 to 1500 ms are 10 to 18.75 steps of 80 ms, so 18 is less likely.
	for m := 10; m <= 18; m++ {
		p := map[bool]float64{true: 0.75, false: 1}[m == 18] / 8.75
		if got := float64(count[m]) / 4000; !(math.Abs(got-p) <= 4*math.Sqrt(p/4000)) {
			t.Errorf("a measure of %d steps in %.4f of the trials, want %.4f", m, got, p)
		}
	}
	if rsg.Steps != 56 || len(count) != 9 {
		t.Errorf("%d steps, measures %v", rsg.Steps, count)
	}
}

// Ideal observers of 20,000 trials come to what the tasks say of them.
func TestIdealObservers(t *testing.T) {
	const n = 20000
	// sum is the sum over some steps of an input less another one.
	sum := func(d *tasks.Dataset, i, from, to, a, b int) float64 {
		v := 0.0
		for step := from; step < to; step++ {
			x := d.Test.X[(i*d.Steps+step)*d.Inputs:]
			v += x[a] - x[b]
		}
		return v
	}
	higher := func(v float64) int32 {
		if v > 0 {
			return 1
		}
		return 2
	}
	perceptual := func(d *tasks.Dataset, i int) int32 { return higher(sum(d, i, 0, d.Steps, 1, 2)) }
	match := func(between int) func(d *tasks.Dataset, i int) int32 {
		return func(d *tasks.Dataset, i int) int32 {
			return higher(sum(d, i, 0, between, 1, 2) * sum(d, i, between, d.Steps, 1, 2))
		}
	}
	context := func(d *tasks.Dataset, i int) int32 {
		first := 1
		if d.Test.X[(i*d.Steps+d.Steps-1)*7+6] > 0.5 || sum(d, i, 0, 1, 6, 5) > 0.5 {
			first = 3
		}
		return higher(sum(d, i, 0, d.Steps, first, first+1))
	}
	for _, c := range []struct {
		name  string
		task  tasks.Task
		says  func(d *tasks.Dataset, i int) int32
		ideal float64 // as published for the lab's timings; else that of the task
	}{
		{"2af", tasks.PerceptualDecision{}, perceptual, 0},
		{"2af/lab", tasks.PerceptualDecision{Timing: "lab"}, perceptual, 0.875},
		{"2af/dt=50", tasks.PerceptualDecision{DT: 50, Sigma: 2, Stimulus: "500"}, perceptual, 0},
		{"dms", tasks.DelayMatchSample{}, match(12), 0},
		{"dms/lab", tasks.DelayMatchSample{Timing: "lab"}, match(3), 1},
		{"dms/sigma", tasks.DelayMatchSample{Timing: "lab", Sigma: 7, Sample: "200"}, match(4), 0},
		{"cxt", tasks.ContextDecision{}, context, 0},
		{"cxt/lab", tasks.ContextDecision{Timing: "lab"}, context, 0.875},
		{"cxt/lab/v0.0.1", tasks.ContextDecision{Timing: "lab", Version: "v0.0.1"}, context, 0.875},
		{"delay-comparison", tasks.DelayComparison{}, compares, 0.997},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := load(t, tasktest.With(t, tasktest.With(t, c.task, "trials", 1), "test_trials", n), 5)
			classes, right := d.Test.Classes(), 0.0
			for i := range n {
				if c.says(d, i) == classes[i] {
					right += 1. / n
				}
			}
			ideal := d.Ideal
			if ideal == 0 {
				ideal = c.ideal
			}
			if e := math.Sqrt(ideal*(1-ideal)/n) + 1e-4; !(math.Abs(right-ideal) <= 4*e) {
				t.Errorf("accuracy %.4f, the task says %.4f ± %.4f", right, ideal, e)
			}
			if c.ideal != 0 && !(math.Abs(right-c.ideal) <= 0.01) {
				t.Errorf("accuracy %.4f, published %.3f", right, c.ideal)
			}
			// What the documentation says.
			if doc := entry(t, d.Name).Doc; !strings.Contains(c.name, "=") && !strings.Contains(c.name, "sigma") &&
				!strings.Contains(doc, strings.TrimPrefix(fmt.Sprintf("%.3f\n", ideal), "0")) {
				t.Errorf("the documentation does not give %.3f", ideal)
			}
		})
	}
}

// compares is the ideal observer of delay-comparison, who knows the pairs: the likelihood of
// the two mean inputs given each.
func compares(d *tasks.Dataset, i int) int32 {
	mean := func(from int) float64 {
		m := 0.0
		for step := from; step < from+5; step++ {
			m += d.Test.X[(i*d.Steps+step)*2+1] / 5
		}
		return m
	}
	first, second := mean(5), mean(20)
	likelihood := func(v1, v2 float64) float64 {
		e1, e2 := first-(1+(v1-10)/24)/2, second-(1+(v2-10)/24)/2
		return math.Exp(-5 * (e1*e1 + e2*e2) / (2 * 0.01))
	}
	odds := 0.0
	for v := 10.0; v <= 26; v += 4 {
		odds += likelihood(v+8, v) - likelihood(v, v+8)
	}
	if odds > 0 {
		return 1
	}
	return 2
}

func entry(t *testing.T, name string) tasks.Entry {
	t.Helper()
	e, err := tasks.Catalog.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Each decision is as likely as the others, and each bit.
func TestLabelBalance(t *testing.T) {
	for name, decisions := range map[string][]int32{
		"2af": {1, 2}, "dms": {1, 2}, "cxt": {1, 2}, "gonogo": {0, 1}, "delay-comparison": {1, 2}, "copy": {0, 1}, "xor": {0, 1},
	} {
		d := load(t, few(t, entry(t, name).Value, 4000), 2)
		count := map[int32]int{}
		for _, c := range d.Train.Classes() {
			count[c]++
		}
		if len(count) != len(decisions) {
			t.Errorf("%s: decisions %v, want %v", name, count, decisions)
		}
		for _, c := range decisions {
			if !(math.Abs(float64(count[c])-2000) <= 4*math.Sqrt(1000)) {
				t.Errorf("%s: %d of 4000 trials with the label %d", name, count[c], c)
			}
		}
	}
}

// The targets are what the documentation says, worked out anew from the inputs.
func TestTargets(t *testing.T) {
	add := load(t, few(t, tasks.Add{T1: 3, T2: 1}, 10), 1).Train
	for i := range add.N {
		x, y := add.X[i*100:(i+1)*100], add.Y[i*100:(i+1)*100]
		if y[0] != 0.5 || y[2] != 0.5-0.25*x[1] {
			t.Errorf("the first targets are %v of %v", y[:3], x[:3])
		}
		for k := 3; k < 100; k++ {
			if y[k] != 0.5+0.5*x[k-3]-0.25*x[k-1] {
				t.Fatalf("add: y(%d) = %v", k, y[k])
			}
		}
	}
	for _, delay := range []int{1, 20} {
		cp, xor := load(t, few(t, tasks.Copy{Delay: delay}, 10), 1).Train, load(t, few(t, tasks.XOR{Delay: delay}, 10), 1).Train
		for i := range 1000 {
			k, trial := i%100, i/100
			if k >= delay && float64(cp.Labels[i]) != cp.X[i-delay] || cp.IsScored(trial, k) != (k >= delay) {
				t.Fatalf("copy: label %d, scored %v at step %d", cp.Labels[i], cp.IsScored(trial, k), k)
			}
			if k >= 2*delay && (xor.Labels[i] == 1) != (xor.X[i-delay] != xor.X[i-2*delay]) || xor.IsScored(trial, k) != (k >= 2*delay) {
				t.Fatalf("xor: label %d, scored %v at step %d", xor.Labels[i], xor.IsScored(trial, k), k)
			}
		}
	}
	flip := load(t, few(t, tasks.FlipFlop{Bits: 2, Steps: 500}, 50), 1).Train
	pulses := 0
	for i := range flip.N {
		hold := [2]float64{}
		for k := range 1000 {
			if x := flip.X[i*1000+k]; x != 0 {
				hold[k%2], pulses = x, pulses+1
			}
			if flip.Y[i*1000+k] != hold[k%2] {
				t.Fatalf("flip-flop: trial %d, target %v of step %d, bit %d, want %v", i, flip.Y[i*1000+k], k/2, k%2, hold[k%2])
			}
		}
	}
	if !(math.Abs(float64(pulses)-2500) <= 4*math.Sqrt(2500)) {
		t.Errorf("flip-flop: %d pulses in 50,000 steps, want about 2500", pulses)
	}
	adding := load(t, few(t, tasks.Adding{Steps: 11}, 500), 1).Train
	var marks [11]int
	for i := range adding.N {
		sum := 0.0
		for k := range 11 {
			x := adding.X[(i*11+k)*2:]
			sum += x[0] * x[1]
			marks[k] += int(x[1])
			if adding.Weight(i, k) != float64(k/10) {
				t.Fatalf("adding: weight %v at step %d", adding.Weight(i, k), k)
			}
		}
		if adding.Y[i*11+10] != sum {
			t.Fatalf("adding: target %v, want %v", adding.Y[i*11+10], sum)
		}
	}
	if slices.Min(marks[:]) < 50 || slices.Max(marks[:5]) > 140 || slices.Max(marks[5:]) > 125 {
		t.Errorf("adding: %v marks", marks)
	}
	sine := load(t, tasks.RFLOSine{Trials: 2}, 1).Train
	if sine.Y[0] != 0 || !(math.Abs(sine.Y[25]-1) <= 1e-12) || sine.Y[0] != sine.Y[100] || slices.ContainsFunc(sine.X, func(x float64) bool { return x != 0 }) {
		t.Errorf("rflo-sine: targets %v", sine.Y[:30])
	}
	mean := 0.0
	for _, y := range sine.Y[:100] {
		mean += y * y / 100
	}
	if !(math.Abs(mean-0.65625) <= 1e-12) {
		t.Errorf("rflo-sine: mean square %v", mean)
	}
}

func TestSequentialMNIST(t *testing.T) {
	dir := t.TempDir()
	writeMNIST(t, dir, 120, 60)
	d, whole := load(t, tasks.SequentialMNIST{Dir: dir, Train: 50}, 1), load(t, tasks.MNIST{Dir: dir, Train: 50}, 1)
	if d.Steps != 28 || d.Inputs != 28 || d.Train.N != 50 || d.Test.N != 60 {
		t.Fatalf("%d steps of %d inputs, %d and %d samples", d.Steps, d.Inputs, d.Train.N, d.Test.N)
	}
	if !slices.Equal(d.Train.Classes(), whole.Train.Labels) {
		t.Error("other labels than those of mnist")
	}
	for i := range 3 {
		if !slices.Equal(d.Train.Row(nil, i), whole.Train.Row(nil, i)) || d.Train.IsScored(i, 26) || !d.Train.IsScored(i, 27) {
			t.Errorf("sample %d is not that of mnist, or scored before the last row", i)
		}
	}
}

func TestTrialOptionsOutOfRange(t *testing.T) {
	for _, c := range []struct {
		task tasks.Task
		want string
	}{
		{tasks.PerceptualDecision{Stimulus: "long"}, `2af: stimulus: expected a time of at least 0 ms, "uniform MIN MAX" or "exponential MEAN MIN MAX", found "long"`},
		{tasks.PerceptualDecision{Stimulus: "-100"}, `2af: stimulus: expected a time`},
		{tasks.PerceptualDecision{Stimulus: "uniform 500 300"}, `2af: stimulus: expected a time`},
		{tasks.PerceptualDecision{Stimulus: "exponential 500 300"}, `2af: stimulus: expected a time`},
		{tasks.PerceptualDecision{Stimulus: "1e300"}, `2af: stimulus: expected at most 268435456 steps of 100 ms`},
		{tasks.PerceptualDecision{Decision: "99"}, `2af: decision: expected at least 1 step of 100 ms, found "99"`},
		{tasks.PerceptualDecision{DT: -1}, `2af: dt: expected a finite time above 0 ms, found -1`},
		{tasks.PerceptualDecision{DT: math.NaN()}, `2af: dt:`},
		{tasks.PerceptualDecision{Sigma: -1}, `2af: sigma: expected a finite number of at least 0, found -1`},
		{tasks.PerceptualDecision{Coherences: []float64{5, 101}}, `2af: coherences: expected numbers from 0 to 100, found 101`},
		{tasks.ContextDecision{Coherences: []float64{-5}}, `cxt: coherences:`},
		{tasks.ContextDecision{Trials: -1}, `cxt: expected trials from 1 to`},
		{tasks.DelayMatchSample{TestTrials: 1 << 40}, `dms: expected test_trials from 1 to`},
		{tasks.DelayMatchSample{Delay: "1e9"}, `GiB`},
		{tasks.ReadySetGo{Ready: "900"}, `ready-set-go: ready: expected no more than the measure, of which it is the first part, found "900" of "uniform 800 1500"`},
		{tasks.FlipFlop{Pulse: 2}, `flip-flop: pulse: expected a probability above 0 and at most 1, found 2`},
		{tasks.FlipFlop{Bits: -1}, `flip-flop: expected bits from 1 to`},
		{tasks.FlipFlop{Bits: 1 << 28, Steps: 1 << 28, Trials: 1 << 28}, `GiB`},
		{tasks.Add{T1: 100}, `add: expected steps from 101 to`},
		{tasks.Copy{Delay: 100}, `copy: expected steps from 101 to`},
		{tasks.XOR{Delay: 50}, `xor: expected steps from 101 to`},
		{tasks.XOR{Delay: -3}, `xor: expected delay from 1 to`},
		{tasks.Adding{Steps: 1}, `adding: expected steps from 2 to`},
		{tasks.RFLOSine{Steps: -1}, `rflo-sine: expected steps from 1 to`},
	} {
		if _, err := c.task.Load(0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.task, err, c.want)
		}
	}
}

package peers

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

// The two semantics of neurogym, each with the environment variable that names the
// interpreter that has it.
var (
	neurogym      = Peer{Name: "neurogym", script: "neurogym_peer.py", packages: []string{"neurogym"}, requirements: "requirements-neurogym.txt"}
	firstNeurogym = Peer{Name: "neurogym v0.0.1", script: "neurogym_peer.py", packages: []string{"neurogym", "gym", "numpy"}, requirements: "requirements-neurogym-first.txt"}
)

// neurogymCases are our tasks with the periods in ms that neurogym is told where they are not
// its own, and the step in ms.
var neurogymCases = []struct {
	name   string
	task   tasks.Task
	timing map[string]float64
	dt     float64
}{
	{"2af", tasks.PerceptualDecision{}, nil, 0},
	{"2af", tasks.PerceptualDecision{Timing: "lab"}, map[string]float64{"fixation": 0, "stimulus": 700, "delay": 0, "decision": 100}, 0},
	{"2af", tasks.PerceptualDecision{DT: 30, Fixation: "110", Stimulus: "200", Delay: "100"}, map[string]float64{"fixation": 110, "stimulus": 200, "delay": 100}, 30},
	{"dms", tasks.DelayMatchSample{}, nil, 0},
	{"dms", tasks.DelayMatchSample{Timing: "lab"}, map[string]float64{"fixation": 0, "sample": 100, "delay": 500, "test": 100, "decision": 100}, 0},
	{"cxt", tasks.ContextDecision{Delay: "690"}, map[string]float64{"delay": 690}, 0},
	{"cxt", tasks.ContextDecision{Timing: "lab"}, map[string]float64{"fixation": 0, "stimulus": 200, "delay": 500, "decision": 100}, 0},
	{"gonogo", tasks.GoNogo{}, nil, 0},
	{"gonogo", tasks.GoNogo{DT: 40, Fixation: "100"}, map[string]float64{"fixation": 100}, 40},
	{"delay-comparison", tasks.DelayComparison{}, nil, 0},
	{"ready-set-go", tasks.ReadySetGo{Measure: "800"}, map[string]float64{"measure": 800}, 0},
	{"ready-set-go", tasks.ReadySetGo{Measure: "1499"}, map[string]float64{"measure": 1499}, 0},
	{"ready-set-go", tasks.ReadySetGo{DT: 20, Measure: "810"}, map[string]float64{"measure": 810}, 20},
}

// Where neurogym is installed, our trials without noise are those of neurogym and the other way
// round, each has the same noise, and random durations have the same distribution.
func TestNeurogym(t *testing.T) {
	for _, c := range []struct {
		peer                  Peer
		version, python, says string
	}{
		{neurogym, "head", os.Getenv("ATTRACTOR_NEUROGYM"), "2.3.1"},
		{firstNeurogym, "v0.0.1", os.Getenv("ATTRACTOR_NEUROGYM_FIRST"), "0.0.2"},
	} {
		t.Run(c.version, func(t *testing.T) {
			s, err := c.peer.Start(t.Context(), cmp.Or(c.python, "python3"))
			var missing *MissingError
			if errors.As(err, &missing) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.Info.Versions["neurogym"]; got != c.says {
				t.Skipf("neurogym %s is installed, want %s: see the documentation of this package", got, c.says)
			}
			for _, g := range neurogymCases {
				t.Run(fmt.Sprint(g.name, g.timing), func(t *testing.T) {
					task := tasktest.With(t, tasktest.With(t, g.task, "version", c.version), "trials", 2000)
					ours, err := task.Load(1)
					if err != nil {
						t.Fatal(err)
					}
					silent, err := tasktest.With(t, task, "noiseless", true).Load(1)
					if err != nil {
						t.Fatal(err)
					}
					request := map[string]any{"op": "trials", "task": g.name, "timing": g.timing, "dt": g.dt}
					theirs := neurogymTrials(t, s, request)
					if got := slices.Sorted(slices.Values(trialsOf(silent))); !slices.Equal(slices.Compact(got), theirs) {
						t.Errorf("%d different trials of ours, %d of neurogym; of ours first\n%s\nof theirs\n%s", len(slices.Compact(got)), len(theirs), got[0], theirs[0])
					}
					request["op"], request["times"] = "noise", 2000
					var noise struct {
						SD [][]float64 `json:"sd"`
					}
					if err := s.call(request, &noise); err != nil {
						t.Fatal(err)
					}
					for k, row := range noise.SD {
						for j, want := range row {
							sum := 0.0
							for i := range 2000 {
								at := (i*ours.Steps+k)*ours.Inputs + j
								e := ours.Train.X[at] - silent.Train.X[at]
								sum += e * e / 2000
							}
							// Each of the two has a relative error of 1/√4000.
							if got := math.Sqrt(sum); !(math.Abs(got-want) <= 4.5*want/math.Sqrt(2000)+1e-7) {
								t.Errorf("step %d, input %d: noise %.4f, %.4f of neurogym", k, j, got, want)
							}
						}
					}
				})
			}
			// The other version is told apart.
			other := map[string]string{"head": "v0.0.1", "v0.0.1": "head"}[c.version]
			for _, g := range []struct {
				name   string
				task   tasks.Task
				timing map[string]float64
			}{
				{"2af", tasks.PerceptualDecision{Version: other}, nil},
				{"cxt", tasks.ContextDecision{Version: other, Delay: "500"}, map[string]float64{"delay": 500}},
			} {
				silent, err := tasktest.With(t, g.task, "noiseless", true).Load(1)
				if err != nil {
					t.Fatal(err)
				}
				theirs := neurogymTrials(t, s, map[string]any{"op": "trials", "task": g.name, "timing": g.timing})
				if slices.Contains(theirs, trialsOf(silent)[0]) {
					t.Errorf("%s: a trial of %s is one of %s too", g.name, other, c.version)
				}
			}
			for _, g := range []struct {
				name, period string
				task         tasks.Task
				steps        func(length int) int // of the period, in a trial of so many
			}{
				{"cxt", "delay", tasks.ContextDecision{}, func(n int) int { return n - 11 }},
				{"ready-set-go", "measure", tasks.ReadySetGo{}, func(n int) int { return (n - 2) / 3 }},
			} {
				const n = 4000
				var reply struct {
					Durations []float64 `json:"durations"`
				}
				if err := s.call(map[string]any{"op": "durations", "task": g.name, "period": g.period, "times": n}, &reply); err != nil {
					t.Fatal(err)
				}
				d, err := tasktest.With(t, g.task, "trials", n).Load(1)
				if err != nil {
					t.Fatal(err)
				}
				var ours []float64
				for i := range n {
					length := 0
					for k := range d.Steps {
						if d.Train.Weight(i, k) > 0 {
							length = k + 1
						}
					}
					ours = append(ours, float64(g.steps(length)))
				}
				// The largest distance of two distribution functions of n draws (Kolmogorov and
				// Smirnov) exceeds 1.95·√(2/n) with a probability of about 0.001.
				worst := 0.0
				for v := 0.0; v < 100; v++ {
					below := func(all []float64) (share float64) {
						for _, x := range all {
							if x <= v {
								share += 1. / n
							}
						}
						return share
					}
					worst = max(worst, math.Abs(below(ours)-below(reply.Durations)))
				}
				if worst > 1.95*math.Sqrt(2./n) || slices.Min(ours) != slices.Min(reply.Durations) {
					t.Errorf("%s: distributions of the %s differ by %.4f; the shortest are %v and %v", g.name, g.period, worst, slices.Min(ours), slices.Min(reply.Durations))
				}
			}
		})
	}
}

// neurogymTrials are the different trials of neurogym as text, sorted.
func neurogymTrials(t *testing.T, s *Session, request map[string]any) []string {
	t.Helper()
	var reply struct {
		Trials []struct {
			Ob [][]float64 `json:"ob"`
			Gt []int32     `json:"gt"`
		} `json:"trials"`
	}
	if err := s.call(request, &reply); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range reply.Trials {
		out = append(out, textOf(slices.Concat(r.Ob...), r.Gt))
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// trialsOf are the trials to train on as text.
func trialsOf(d *tasks.Dataset) []string {
	var out []string
	for i := range d.Train.N {
		out = append(out, textOf(d.Train.Row(nil, i), d.Train.Labels[i*d.Steps:(i+1)*d.Steps]))
	}
	return out
}

func textOf(x []float64, labels []int32) string {
	s := fmt.Sprintf("%d steps, labels %v, inputs", len(labels), labels)
	for _, v := range x {
		s += fmt.Sprintf(" %.5g", v)
	}
	return s
}

package peers

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"attractor/cmd/bench"
	"attractor/deq"
	"attractor/internal/checkpoint"
)

// Shapes are those of the comparison.
var Shapes = []bench.Shape{{Batch: 32, Units: 128}, {Batch: 64, Units: 256}, {Batch: 128, Units: 512}}

// maxEvals is what a peer may spend on a solve: enough, and little, for torchdeq's memory and
// time grow with it.
const maxEvals = 50

// agreement is how far the gradients of a peer may be from ours, by the norm of all, for solves
// that stop at bench.RTol.
const agreement = 100 * bench.RTol

// Comparison is a training step by ours and by the peers, in one run: medians, and the least,
// which tell of each other's noise.
type Comparison struct {
	Name  string            `json:"name"` // step/64x256/anderson
	Ours  float64           `json:"ours_us"`
	Least float64           `json:"ours_least_us"`
	Evals bench.Evaluations `json:"evals"`
	Peers []Entry           `json:"peers"`
}

// Entry is a peer's side of a comparison.
type Entry struct {
	Peer     string            `json:"peer"`
	US       float64           `json:"us"`
	OverOurs float64           `json:"over_ours"`
	Least    float64           `json:"least_us"`
	OverBest float64           `json:"least_over_ours_least"`
	Evals    bench.Evaluations `json:"evals"`               // of the whole batch
	Gradient float64           `json:"gradient_difference"` // ‖g − ours‖/‖ours‖ over all parameters
}

// Compare measures a training step of every shape by every solver, ours and the sessions' in turns,
// and hands each comparison to report. Budget is the time for one.
// The process runs on one core for the while. Gradients that disagree are an error.
func Compare(ctx context.Context, shapes []bench.Shape, solvers []string, sessions []*Session, budget time.Duration, report func(Comparison)) ([]Comparison, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var all []Comparison
	for _, s := range shapes {
		for _, solver := range solvers {
			c, err := compare(ctx, s, solver, sessions, budget)
			if err != nil {
				return all, fmt.Errorf("peers: %v by %s: %w", s, solver, err)
			}
			all = append(all, c)
			if report != nil {
				report(c)
			}
		}
	}
	return all, nil
}

func compare(ctx context.Context, shape bench.Shape, solver string, sessions []*Session, budget time.Duration) (Comparison, error) {
	c := Comparison{Name: fmt.Sprintf("step/%v/%s", shape, solver)}
	step, err := bench.NewStep(shape, solver, deq.Config{Workers: 1})
	if err != nil {
		return c, err
	}
	dir, err := os.MkdirTemp("", "attractor-step-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "step.safetensors")
	if err := save(file, step); err != nil {
		return c, err
	}
	if err := step.Run(); err != nil {
		return c, err
	}
	ours := bench.Timed(step.Run)
	race := []*bench.Contestant{ours}
	for _, s := range sessions {
		e, err := s.load(step, file, filepath.Join(dir, s.Peer.Name+".safetensors"))
		if err != nil {
			return c, err
		}
		c.Peers = append(c.Peers, e)
		race = append(race, &bench.Contestant{Times: func(n int) (float64, error) { return s.times(map[string]any{"op": "run"}, n) }})
	}
	if err := bench.Race(ctx, budget, race...); err != nil {
		return c, err
	}
	c.Ours, c.Least, c.Evals = ours.Median(), ours.Least(), step.Done
	for i := range c.Peers {
		e := &c.Peers[i]
		e.US, e.Least = race[i+1].Median(), race[i+1].Least()
		e.OverOurs, e.OverBest = e.US/c.Ours, e.Least/c.Least
	}
	return c, nil
}

// save writes what a peer needs for the step.
func save(file string, step *bench.Step) error {
	rows := step.Shape.Batch
	f := checkpoint.File{Tensors: map[string]checkpoint.Tensor{
		"x":      checkpoint.Of(step.X, rows, len(step.X)/rows),
		"target": checkpoint.Of(step.Target, rows, len(step.Target)/rows),
	}}
	for _, p := range step.Layer.Params {
		f.Tensors[p.Name] = checkpoint.Of(p.Data, p.Shape...)
	}
	return checkpoint.Save(file, f)
}

// load gives the peer the step, lets it run once and compares the gradients with ours.
func (s *Session) load(step *bench.Step, file, gradients string) (Entry, error) {
	e := Entry{Peer: s.Peer.Name}
	var r struct {
		Loss, Forward, Backward float64
	}
	err := s.call(map[string]any{
		"op": "load", "file": file, "gradients": gradients, "solver": step.Solver, "rtol": bench.RTol,
		"window": bench.Window, "max_evals": maxEvals, "lr": bench.LearningRate,
	}, &r)
	if err != nil {
		return e, err
	}
	e.Evals = bench.Evaluations{Forward: r.Forward, Backward: r.Backward}
	theirs, err := checkpoint.LoadForeign(gradients, nil)
	if err != nil {
		return e, err
	}
	var d, norm float64
	for _, g := range step.Grads {
		values, err := checkpoint.As[float32](theirs, g.Name, g.Shape...)
		if err != nil {
			return e, err
		}
		for i, v := range g.Data {
			d, norm = d+sq(float64(values[i])-float64(v)), norm+sq(float64(v))
		}
	}
	e.Gradient = math.Sqrt(d / norm)
	if !(e.Gradient <= agreement) {
		return e, fmt.Errorf("the gradients of %s differ from ours by %.2g of their norm, with loss %v against %v", s.Peer.Name, e.Gradient, r.Loss, step.Loss)
	}
	return e, nil
}

func sq(x float64) float64 { return x * x }

// Write prints comparisons as a table.
func Write(w io.Writer, all []Comparison) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "case\tours ms\tevals\tpeer\tpeer ms\tpeer/ours\tof least\tevals\tgradient differs by\t")
	for _, c := range all {
		for _, e := range c.Peers {
			fmt.Fprintf(t, "%s\t%.3g\t%.1f + %.1f\t%s\t%.3g\t%.2f\t%.2f\t%.0f + %.0f\t%.1e\t\n", c.Name, c.Ours/1e3,
				c.Evals.Forward, c.Evals.Backward, e.Peer, e.US/1e3, e.OverOurs, e.OverBest, e.Evals.Forward, e.Evals.Backward, e.Gradient)
		}
	}
	return t.Flush()
}

// String is a line about the peer for the head of a table.
func (s *Session) String() string {
	var parts []string
	for _, name := range s.Peer.packages {
		if v := s.Info.Versions[name]; v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	parts = append(parts, s.Info.BLAS, fmt.Sprintf("%d thread", s.Info.Threads))
	if s.Info.Note != "" {
		parts = append(parts, s.Info.Note)
	}
	return strings.Join(parts, ", ")
}

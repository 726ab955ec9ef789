package train_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// firstStep is what an observer keeps of the first step of training.
type firstStep struct {
	train.Step[float64]
	params, grads deq.Params[float64]
	loss          float64
	rows          []int
}

var errSeen = errors.New("seen")

func (f *firstStep) Observe(_ context.Context, s train.Step[float64]) error {
	f.Step = s
	f.params, f.grads = copyOf(s.Params), copyOf(s.Grads)
	f.loss, f.rows = float64(s.Record.Loss), slices.Clone(s.Batch.Rows)
	return errSeen
}

func copyOf(p deq.Params[float64]) deq.Params[float64] {
	c := p.ZerosLike()
	c.CopyFrom(p)
	return c
}

// gradient is, bit for bit, the gradient of the first step of training with the same options.
func TestGradientIsThatOfTheFirstStep(t *testing.T) {
	parts := train.Ours[float64]()
	for _, options := range []string{
		"",
		"model.dropout=0.5",
		"model.dropout=0.5 train.seed=3",
		"model.dropout=0.3 rule=bptt",
		"model.dropout=0.3 rule=rbp",
		"model.dropout=0.3 rule=eqprop",
		"model.noise=0.2 rule=bptt",
		"model.noise=0.2 model.dropout=0.2 rule=e-prop rule.feedback=random",
		"regularizer.jacobian=0.5 regularizer.probes=3",
		"regularizer.jacobian=0.5 regularizer.probability=0.01",
		"regularizer.jacobian=0.5 model.dropout=0.4 rule=bptt",
		"regularizer.correction=3 regularizer.decay=0.5",
		"train.loss=mse task=linear",
		"train.clip=0.001 train.schedule=linear train.warmup=5 train.epochs=2",
		"train.warm_start=both",
		"train.trained=recurrent rule=weight-perturbation",
		"train.trained=readout",
		"train.certificate=1 train.stability=shrink train.stability_every=1",
		"model.dale=0.5 model.density=0.6 model.dropout=0.5",
		"model.normalize=weight model.leak=0.5 model.form=v",
		"rule=node-perturbation",
		"rule=rflo",
		"task=cxt rule=bptt", "task=cxt rule=rflo model.dropout=0.5 model.noise=0.1 model.leak=0.5",
		"solver=picard solver.rtol=1e-3 backward.rtol=1e-3 train.shard=3",
	} {
		sets := slices.Concat([]string{"task=blobs", "model.units=8", "train.batch=12"}, strings.Fields(options))
		t.Run(options, func(t *testing.T) {
			c, err := train.Read(parts, "test", nil, sets)
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := train.New(c, parts)
			if err != nil {
				t.Fatal(err)
			}
			var seen firstStep
			if _, _, err := trainer.Next(context.Background(), &seen); !errors.Is(err, errSeen) {
				t.Fatal(err)
			}
			split := trainer.Data.Train.Select(seen.rows)
			data := &tasks.Dataset{Name: "batch", Start: trainer.Data.Start, Kind: trainer.Data.Kind, Inputs: trainer.Data.Inputs, Outputs: trainer.Data.Outputs, Steps: trainer.Data.Steps, Train: split, Test: split}
			w := train.Weights{Source: "w", Params: map[string]train.Array{}, Own: map[string]train.Array{}}
			for _, p := range seen.params {
				w.Params[p.Name] = train.Array{Shape: p.Shape, Data: p.Data}
			}
			g, err := train.GradientAt(context.Background(), c, parts, w, data)
			if err != nil {
				t.Fatal(err)
			}
			if g.Loss != seen.loss {
				t.Errorf("loss %v, that of the first step is %v", g.Loss, seen.loss)
			}
			if !slices.Equal(g.Trained, seen.Trained) {
				t.Errorf("%v learn, in the first step %v", g.Trained, seen.Trained)
			}
			for _, i := range g.Trained {
				if !slices.Equal(g.Params[i].Data, seen.grads[i].Data) {
					t.Errorf("gradient of %s: %v, that of the first step is %v", g.Params[i].Name, g.Params[i].Data[:1], seen.grads[i].Data[:1])
				}
			}
		})
	}
}

// A gradient check holds for exact rules with whatever they train, or says why it cannot be made.
func TestGradCheckOfTheWholeObjective(t *testing.T) {
	parts := train.Ours[float64]()
	for _, sets := range []string{
		"regularizer.jacobian=1", "regularizer.correction=3", "regularizer.jacobian=0.3 regularizer.correction=2 model.dropout=0.5",
		"model.dropout=0.5", "rule=bptt model.dropout=0.5", "rule=bptt regularizer.jacobian=1", "rule=bptt model.noise=0.2",
		"rule=rbp", "rule=rbp model=gru", "rule=rbp model=lstm", "rule=rbp model=mondeq", "model.dale=0.5 model.density=0.5", "model.normalize=spectral model.gain=2 model.bound=0.5",
	} {
		rep := gradCheck(t, parts, append([]string{"model.units=6", "task=blobs"}, strings.Fields(sets)...)...)
		if !rep.Holds {
			t.Errorf("%s: %+v", sets, rep.Parameters)
		}
	}
	// and still tells a rule that leaves the penalty's part, or the masks, out
	for _, sets := range []string{"rule=jfb regularizer.jacobian=1", "rule=jfb model.dropout=0.5"} {
		if rep := gradCheck(t, parts, append([]string{"model.units=6", "task=blobs"}, strings.Fields(sets)...)...); rep.Holds {
			t.Errorf("%s holds", sets)
		}
	}
}

// What did not converge is named, with the options that bound it.
func TestSolvesThatFailAreNamed(t *testing.T) {
	parts := train.Ours[float64]()
	for _, tt := range []struct{ sets, of, remedy string }{
		{"rule=rbp rule.steps=3", "the adjoint, which rbp relaxes in at most 3 steps of 0.5", "raise rule.steps, or backward.rtol"},
		{"rule=implicit backward.max_evals=2", "the adjoint", "raise backward.max_evals"},
		{"rule=implicit solver.max_evals=2", "the equilibrium", "raise solver.max_evals"},
		{"rule=feedback-alignment rule.recurrent=transpose backward.max_evals=2", "the adjoint of the feedback", "raise backward.max_evals"},
		{"rule=eqprop solver.max_evals=5 solver.rtol=1e-14", "the equilibrium", "raise solver.max_evals"},
	} {
		c, err := train.Read(parts, "test", nil, append([]string{"task=blobs", "model.units=8", "train.unconverged=stop"}, strings.Fields(tt.sets)...))
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := train.New(c, parts)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = trainer.Next(context.Background())
		var failed *rules.SolveError
		if !errors.As(err, &failed) || failed.Solve.Of != tt.of || !strings.Contains(err.Error(), tt.remedy) || !errors.Is(err, solvers.ErrNotConverged) {
			t.Errorf("%s: %v, want %q and %q", tt.sets, err, tt.of, tt.remedy)
		}
	}
}

// Every rule with phases or solves says what each of them is for.
func TestSolvesHaveNames(t *testing.T) {
	parts := train.Ours[float64]()
	for _, e := range parts.Rules.Entries() {
		if _, ok := e.Value.(rules.EquilibriumRule[float64]); !ok {
			continue
		}
		c, err := train.Read(parts, "test", nil, []string{"task=blobs", "model.units=8", "train.batch=8", "rule=" + e.Name})
		if err != nil {
			t.Fatal(err)
		}
		c.Model.Value = models.Rate{N: 8}
		trainer, err := train.New(c.Suited(parts), parts)
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		var seen firstStep
		if _, _, err := trainer.Next(context.Background(), &seen); !errors.Is(err, errSeen) {
			t.Fatalf("%s: %v", e.Name, err)
		}
		for _, s := range seen.Report.Solves {
			if s.Report == nil || s.Of == "" || s.Section != "solver" && s.Section != "backward" {
				t.Errorf("%s: a solve of %q in %q", e.Name, s.Of, s.Section)
			}
		}
	}
}

package main

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/kit"
	"attractor/train/losses"
	"attractor/train/optim"
	"attractor/train/rules"
	"attractor/train/tasks"
)

func (m divisive) defaults() divisive   { return kit.WithDefaults(m) }
func (m supralinear) exponent() float64 { return kit.WithDefaults(m).Exponent }

// parts are ours beside those of the framework.
func parts[T deq.Float]() train.Parts[T] {
	p := train.Ours[T]()
	p.Models = p.Models.With(
		models.Entry{Name: "divisive", Doc: "divisive normalisation\nz⁺ = tanh((Wz + Ux + b) ⊘ (1 + pool))", Value: divisive{}},
		models.Entry{Name: "supralinear", Doc: "a bounded power law\nz⁺ = .4 z + .6 tanh(max(Wz + Ux + b, 0)ⁿ)", Value: supralinear{}})
	p.Solvers = p.Solvers.With(solvers.Entry[T]{Name: "heavy-ball", Doc: "Picard with momentum\nv ← βv + f(z) − z, z ← z + τv", Value: heavyBall[T]{}})
	p.Rules = p.Rules.With(rules.Entry[T]{Name: "broadcast", Doc: "random feedback of the output's error\nu = ∂L/∂y·B", Value: broadcast[T]{}})
	p.Tasks = p.Tasks.With(tasks.Entry{Name: "rings", Doc: "two rings\nX [n, 2]: points at the radius 1 or 2; the label is the ring.", Value: rings{}})
	p.Losses = p.Losses.With(kit.Entry[losses.Loss[T]]{Name: "huber", Doc: "Huber's loss", Value: huber[T]{}})
	p.Optimizers = p.Optimizers.With(optim.Entry[T]{Name: "lion", Doc: "the sign of a momentum\nθ ← θ − η sign(β₁m + (1−β₁)g)", Value: lion[T]{}})
	p.Observers = append(p.Observers, func(*train.Trainer[T]) (train.Observer[T], error) { return steps[T]{}, nil })
	return p
}

// heavyBall is v ← βv + f(z) − z, z ← z + τv.
type heavyBall[T solvers.Float] struct {
	kit.Zeros
	Momentum float64 `default:"0.1" doc:"momentum β, in [0, 1)"`
	Step     float64 `default:"0.6" doc:"step length τ"`
}

func (m heavyBall[T]) Start(s solvers.Shape) (solvers.Stepper[T], error) {
	m = kit.WithDefaults(m)
	if err := kit.Check(m); err != nil {
		return nil, err
	}
	if !(m.Momentum >= 0 && m.Momentum < 1) {
		return nil, fmt.Errorf("momentum: expected a number in [0, 1), found %g", m.Momentum)
	}
	return &ball[T]{m: m, dim: s.Dim, v: make([]T, s.Batch*s.Dim)}, nil
}

type ball[T solvers.Float] struct {
	m   heavyBall[T]
	dim int
	v   []T // of each sample
}

func (b *ball[T]) Reset()     { clear(b.v) }
func (b *ball[T]) Bytes() int { return 8 * len(b.v) }

func (b *ball[T]) Step(it *solvers.Iterate[T]) error {
	for i, row := range it.Rows {
		for k := range b.dim {
			v := &b.v[row*b.dim+k]
			*v = T(b.m.Momentum)**v + it.FZ[i*b.dim+k] - it.Z[i*b.dim+k]
			it.Z[i*b.dim+k] += T(b.m.Step) * *v
		}
	}
	return nil
}

// broadcast takes u = ∂L/∂y·B with a fixed random B of its own.
type broadcast[T deq.Float] struct{}

func (broadcast[T]) Check(*deq.Layer[T]) error { return nil }
func (broadcast[T]) Exact() bool               { return false }
func (broadcast[T]) Audit() rules.Audit        { return rules.Audit{Memory: "n", Time: "n^2"} }

func (broadcast[T]) Parameters(l *deq.Layer[T]) []rules.Parameter {
	return []rules.Parameter{{Fixed: true, Param: models.Param{
		Name: "Wo", Role: models.Readout, Shape: []int{l.Outputs, l.Units}, Init: models.Normal{Gain: 1},
	}}}
}

func (broadcast[T]) Gradient(_ context.Context, s rules.Situation[T], g deq.Params[T]) (rules.Report, error) {
	l, b := s.Layer(), s.Own.Params.Data("Wo")
	u := make([]T, len(s.Z))
	for row := range len(s.Z) / l.Units {
		for o := range l.Outputs {
			for k := range l.Units {
				u[row*l.Units+k] += s.Output.DY[row*l.Outputs+o] * b[o*l.Units+k]
			}
		}
	}
	return rules.Report{Bytes: 8 * len(u)}, s.PullBack(u, g)
}

// rings is classification of two rings in the plane.
type rings struct {
	kit.Zeros
	Train int     `default:"200" doc:"samples to train on"`
	Test  int     `default:"100" doc:"samples to test on"`
	Noise float64 `default:"0.1" doc:"standard deviation of the radius"`
}

func (r rings) Load(seed uint64) (*tasks.Dataset, error) {
	r = kit.WithDefaults(r)
	if err := tasks.CheckDrawn("rings", r.Noise, tasks.AtLeast{Key: "train", Value: r.Train, Min: 2}, tasks.AtLeast{Key: "test", Value: r.Test, Min: 2}); err != nil {
		return nil, err
	}
	draw := func(name string, n int) tasks.Split {
		random, s := kit.Stream(seed, "rings/"+name), tasks.Split{N: n}
		for i := range n {
			radius := 1 + float64(i%2) + r.Noise*random.NormFloat64()
			sin, cos := math.Sincos(2 * math.Pi * random.Float64())
			s.X, s.Labels = append(s.X, radius*cos, radius*sin), append(s.Labels, int32(i%2))
		}
		return s
	}
	return &tasks.Dataset{Name: "rings", Kind: tasks.Classification, Inputs: 2, Outputs: 2, Train: draw("train", r.Train), Test: draw("test", r.Test)}, nil
}

// huber is Huber's loss of labels, as one-hot targets, or numbers: r²/2 up to δ, then δ(|r| − δ/2), summed over outputs.
type huber[T deq.Float] struct {
	Delta float64 `default:"1" doc:"residual δ from which the loss is linear"`
}

func (huber[T]) Check(dim int, target losses.Target[T]) error {
	return losses.MeanSquared[T]{}.Check(dim, target)
}

func (h huber[T]) Eval(y []T, dim int, target losses.Target[T], loss []float64, dy []T) error {
	if err := h.Check(dim, target); err != nil {
		return err
	}
	delta := kit.WithDefaults(h).Delta
	for b := range loss {
		sum := 0.0
		for k := range dim {
			want := 0.0
			if target.Y != nil {
				want = float64(target.Y[b*dim+k])
			} else if int(target.Labels[b]) == k {
				want = 1
			}
			r := float64(y[b*dim+k]) - want
			slope := max(-delta, min(delta, r))
			if sum += slope * (r - slope/2); dy != nil {
				dy[b*dim+k] = T(slope)
			}
		}
		loss[b] = sum
	}
	return nil
}

// lion is Lion (X. Chen and others 2023, arXiv:2302.06675).
type lion[T deq.Float] struct {
	LR float64 `default:"0.001" doc:"learning rate η"`
}

func (o lion[T]) Start(params []optim.Param) (optim.State[T], error) {
	s := &lionState[T]{rate: kit.WithDefaults(o).LR, names: params}
	for _, p := range params {
		s.m = append(s.m, make([]T, p.N))
	}
	return s, nil
}

type lionState[T deq.Float] struct {
	rate  float64
	names []optim.Param
	m     [][]T
	steps int64
}

func (s *lionState[T]) Step(scale float64, params, grads [][]T) {
	s.steps++
	for i, g := range grads {
		for k, x := range g {
			m := &s.m[i][k]
			if c := 0.9**m + 0.1*x; c != 0 {
				params[i][k] -= T(s.rate * scale * math.Copysign(1, float64(c)))
			}
			*m = 0.99**m + 0.01*x
		}
	}
}

func (s *lionState[T]) Steps() int64 { return s.steps }

func (s *lionState[T]) Bytes() (n int) {
	for _, m := range s.m {
		n += 8 * len(m)
	}
	return n
}

func (s *lionState[T]) Slots() map[string][]T {
	slots := map[string][]T{}
	for i, p := range s.names {
		slots["m/"+p.Name] = s.m[i]
	}
	return slots
}

func (s *lionState[T]) Restore(steps int64, slots map[string][]T) error {
	for i, p := range s.names {
		if len(slots["m/"+p.Name]) != p.N {
			return fmt.Errorf("lion: expected m/%s of length %d, found %d", p.Name, p.N, len(slots["m/"+p.Name]))
		}
		copy(s.m[i], slots["m/"+p.Name])
	}
	s.steps = steps
	return nil
}

// seen counts the steps that any run has shown.
var seen int

type steps[T deq.Float] struct{}

func (steps[T]) Observe(context.Context, train.Step[T]) error { seen++; return nil }

package rules

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/kit"
)

// Reach says which parameters of a model a rule teaches, found out by trial: see [Probe]. In its zero value, which has null in
// JSON, nothing is known.
type Reach struct {
	Reached   []string `json:"reached"`   // parameters to which the rule gives a gradient
	Partly    []string `json:"partly"`    // those of them of which it leaves out entries that the exact gradient has
	Unreached []string `json:"unreached"` // those to which it gives none, while the exact gradient has one
	Unused    []string `json:"unused"`    // those to which the exact gradient gives none either
}

// Probe is a small network of a model, on which rules are tried out at random parameters, states and inputs. What
// is zero in all its draws is zero by construction: the rule leaves it as it was drawn, however long it trains.
type Probe[T deq.Float] struct {
	layer   *deq.Layer[T]
	drawn   deq.Params[T] // as the model draws them
	x, z0   []T
	tight   deq.Solver[T]
	exact   map[probed]deq.Params[T]
	zero    float64 // size of an entry, over the largest of the gradient, that is nothing but rounding
	nonzero float64 // size of one that is not
}

// probed is a draw and the steps of a passage, 0 for an equilibrium.
type probed struct{ draw, steps int }

const (
	probeUnits, probeInputs, probeOutputs, probeRows = 12, 3, 2, 16
	probeSteps, probeDraws                           = 6, 6
)

// NewProbe makes the probe of a model: of 12 units, where the model has the option units and can be so small.
func NewProbe[T deq.Float](m models.Model) (*Probe[T], error) {
	if small, ok := models.WithUnits(m, probeUnits); ok {
		if p, err := newProbe[T](small); err == nil {
			return p, nil
		}
	}
	return newProbe[T](m)
}

// newProbe makes the probe of a model as large as it is.
func newProbe[T deq.Float](m models.Model) (*Probe[T], error) {
	l, err := deq.New[T](m, probeInputs, probeOutputs, 1, deq.Config{Batch: probeRows, Workers: 1})
	if err != nil {
		return nil, fmt.Errorf("rules: probe: %w", err)
	}
	p := &Probe[T]{
		layer: l, drawn: l.Params.ZerosLike(), x: make([]T, probeRows*l.Inputs), z0: make([]T, probeRows*l.Units),
		exact: map[probed]deq.Params[T]{}, zero: 1e-10, nonzero: 1e-7,
		tight: deq.Solver[T]{Method: solvers.Anderson[T]{}, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: 2000}},
	}
	if _, is32 := any(T(0)).(float32); is32 {
		p.zero, p.nonzero, p.tight.Settings.RTol = 1e-4, 1e-3, 3e-6
	}
	p.drawn.CopyFrom(l.Params)
	return p, nil
}

// draw draws everything: vectors from N(0, 0.3²), and matrices as they are initialised, with noise in
// case that is constant. Recurrent weights are made so small that the cell contracts.
func (p *Probe[T]) draw(draw int) error {
	r := kit.Stream(1, "probe", uint64(draw))
	if err := p.layer.Update(func(params deq.Params[T]) error {
		for i, param := range params {
			scale := 1.0
			if param.Role == models.Recurrent {
				scale = 0.3
			}
			for k, v := range p.drawn[i].Data {
				if len(param.Shape) == 1 {
					v = 0
				}
				param.Data[k] = T(scale * (float64(v) + 0.3*r.NormFloat64()))
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, v := range [][]T{p.x, p.z0} {
		for i := range v {
			v[i] = T(r.NormFloat64())
		}
	}
	return nil
}

// quadratic is ½‖y − t‖² with targets that are functions of the indices.
type quadratic[T deq.Float] struct{ outputs int }

// Eval implements deq.Loss.
func (q quadratic[T]) Eval(rows []int, y, dy []T, loss []float64) error {
	for i, r := range rows {
		loss[i] = 0
		for k := range q.outputs {
			d := float64(y[i*q.outputs+k]) - q.target(r, k)
			dy[i*q.outputs+k] = T(d)
			loss[i] += d * d / 2
		}
	}
	return nil
}

// Continue implements HolomorphicLoss.
func (q quadratic[T]) Continue(b int, y, dy []complex128) error {
	for k := range y {
		dy[k] = y[k] - complex(q.target(b, k), 0)
	}
	return nil
}

func (quadratic[T]) target(b, k int) float64 { return 2 * math.Sin(float64(1+3*b+k)) }

// Reach finds out which parameters of the model's cell a rule teaches. A [ReadoutRule] teaches none, as it
// says, and has no reach. An error says that the rule cannot train the probe.
func (p *Probe[T]) Reach(ctx context.Context, rule Rule[T]) (Reach, error) {
	if err := rule.Check(p.layer); err != nil {
		return Reach{}, err
	}
	if _, ok := rule.(ReadoutRule); ok {
		return Reach{}, nil
	}
	steps := 0
	var reference Rule[T] = Implicit[T]{}
	if r, ok := rule.(TemporalRule[T]); ok {
		steps, reference = min(r.Horizon(), probeSteps), BPTT[T]{}
	}
	taught, used := make([][]bool, len(p.layer.Params)), make([][]bool, len(p.layer.Params)) // by entry
	for i, param := range p.layer.Params {
		taught[i], used[i] = make([]bool, len(param.Data)), make([]bool, len(param.Data))
	}
	for d, missing := 0, true; d < probeDraws && missing; d++ {
		err := p.draw(d)
		if err != nil {
			return Reach{}, err
		}
		exact := p.exact[probed{d, steps}]
		if exact == nil {
			if exact, err = p.gradient(ctx, reference, d, steps); err != nil {
				return Reach{}, err
			}
			p.exact[probed{d, steps}] = exact
		}
		got, err := p.gradient(ctx, rule, d, steps)
		if err != nil {
			return Reach{}, err
		}
		zero, nonzero := p.zero*largest(got), p.nonzero*largest(exact)
		missing = false
		for i := range got {
			for k, v := range got[i].Data {
				taught[i][k] = taught[i][k] || !(math.Abs(float64(v)) <= zero)
				used[i][k] = used[i][k] || math.Abs(float64(exact[i].Data[k])) > nonzero
				missing = missing || used[i][k] && !taught[i][k]
			}
		}
	}
	reach := Reach{Reached: []string{}, Partly: []string{}, Unreached: []string{}, Unused: []string{}}
	for i, param := range p.layer.Params {
		if !p.layer.InCell(i) {
			continue
		}
		missing := false
		for k, yes := range used[i] {
			missing = missing || yes && !taught[i][k]
		}
		switch {
		case slices.Contains(taught[i], true):
			reach.Reached = append(reach.Reached, param.Name)
			if missing {
				reach.Partly = append(reach.Partly, param.Name)
			}
		case missing:
			reach.Unreached = append(reach.Unreached, param.Name)
		default:
			reach.Unused = append(reach.Unused, param.Name)
		}
	}
	return reach, nil
}

// gradient is that of a rule and of the readout, for all parameters.
func (p *Probe[T]) gradient(ctx context.Context, rule Rule[T], draw, steps int) (deq.Params[T], error) {
	l := p.layer
	g := l.Params.ZerosLike()
	loss := quadratic[T]{l.Outputs}
	own := NewOwn(rule, l, 1, nil)
	random := Randomness{Seed: 1, Step: uint64(draw)}
	r := kit.Stream(1, "probe/rule", random.Step)
	for _, o := range own.Params { // of which some begin at 0
		for i := range o.Data {
			o.Data[i] += T(0.3 * r.NormFloat64())
		}
	}
	switch rule := rule.(type) {
	case EquilibriumRule[T]:
		forward, err := p.forward(rule)
		if err != nil {
			return nil, err
		}
		e, err := l.SolveAlong(ctx, p.x, nil, forward, deq.Along[T]{Loss: loss})
		if err != nil {
			return nil, err
		}
		o, err := l.Evaluate(e.Z, loss, g)
		if err != nil {
			return nil, err
		}
		_, err = rule.Gradient(ctx, Situation[T]{Equilibrium: e, Output: o, Loss: loss, Forward: forward, Backward: p.tight, Own: own, Random: random}, g)
		return g, err
	case TemporalRule[T]:
		tr, err := Run(ctx, rule, l, deq.Sequence[T]{Rows: probeRows, Steps: steps, X: p.x, Z0: p.z0})
		if err != nil {
			return nil, err
		}
		o, err := tr.EvaluateLast(loss, g)
		if err != nil {
			return nil, err
		}
		_, err = rule.Gradient(ctx, Passage[T]{Trajectory: tr, Outputs: o, Loss: loss, Own: own, Random: random}, g)
		return g, err
	}
	return nil, fmt.Errorf("rules: %T has no Gradient for an equilibrium or a trajectory", rule)
}

// forward is a solver of the equilibrium that the rule can work with.
func (p *Probe[T]) forward(rule Rule[T]) (deq.Solver[T], error) {
	picky, ok := rule.(ForwardChecker[T])
	if !ok {
		return p.tight, nil
	}
	err := picky.CheckForward(p.tight)
	for _, e := range solvers.Catalog[T]().Entries() {
		if err == nil {
			break
		}
		if s := (deq.Solver[T]{Method: e.Value, Settings: p.tight.Settings}); picky.CheckForward(s) == nil {
			return s, nil
		}
	}
	return p.tight, err
}

// largest is the size of the largest entry.
func largest[T deq.Float](g deq.Params[T]) float64 {
	most := 0.0
	for _, t := range g {
		for _, v := range t.Data {
			most = max(most, math.Abs(float64(v)))
		}
	}
	return most
}

// ReachOf is the reach of a rule in a model, found in a small probe or, where the rule cannot train that, in one of
// the model's own size.
func ReachOf[T deq.Float](ctx context.Context, rule Rule[T], m models.Model) (Reach, error) {
	p, err := NewProbe[T](m)
	if err == nil {
		if reach, err := p.Reach(ctx, rule); err == nil {
			return reach, nil
		}
	}
	if p, err = newProbe[T](m); err != nil {
		return Reach{}, err
	}
	return p.Reach(ctx, rule)
}

// Left says what the rule leaves as it was drawn, as "Wr, br and some entries of n", of the parameters that learn (nil:
// all): nothing where it teaches all of them.
func (r Reach) Left(learn []string) string {
	of := func(names []string) string {
		var these []string
		for _, name := range names {
			if learn == nil || slices.Contains(learn, name) {
				these = append(these, name)
			}
		}
		return strings.Join(these, ", ")
	}
	wholly, partly := of(r.Unreached), of(r.Partly)
	switch {
	case partly == "":
		return wholly
	case wholly == "":
		return "some entries of " + partly
	}
	return wholly + " and some entries of " + partly
}

// Warning says that a rule leaves parameters of a model as they were drawn, those of Left.
func (r Reach) Warning(rule, model string, learn []string) string {
	left := r.Left(learn)
	if left == "" {
		return ""
	}
	return fmt.Sprintf("rule %q gives no gradient to %s of the model %q, where the exact gradient has one: they stay as they were drawn", rule, left, model)
}

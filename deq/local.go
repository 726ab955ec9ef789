package deq

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/internal/engine"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// Synapse is a set of connections of the cell, a = pre·Wᵀ, or a bias of its units, a = b.
type Synapse struct {
	Param string // W or b, or what they are made of
	Role  models.Role
	Pre   int  // presynaptic units; 0 of a bias, whose presynaptic activity is 1
	Post  int  // postsynaptic units
	X     bool // the presynaptic units are the inputs
}

// Local is what the synapses of a cell have at hand of one step z⁺ = f(z, x) of a batch: with all
// products a_k = pre_k·W_kᵀ held, each unit's part of the new state is a function of its own
// parts of them and of the old state. What is 0 whatever the values is nil.
//
// The eligibility ε_k of the weights of synapse k, the part of ∂z/∂W_k that stays within the unit,
// is carried on by ε_k[s] ← Σ_r Same[s][r]·ε_k[r] + Slope[k][s]·pre_k. From unit to unit credit u goes back
// over synapse k by Reach[k][r] ⊙ (Σ_s Slope[k][s] ⊙ u_s)·W_k.
type Local[T Float] struct {
	Pre   [][]T   // by synapse: pre_k [rows, Pre]; nil for a bias
	Slope [][][]T // by synapse and slot: ∂f_s/∂a_k [rows, n]
	Same  [][][]T // by slots s and r: ∂f_s/∂z_r [rows, n] within the unit
	Reach [][][]T // by synapse and slot: ∂pre_k/∂z_r [rows, n] within the unit; nil where pre_k is not one of each unit
}

// Slots is the number of variables of each unit: the state is [slot 0 | slot 1 | …], n wide each.
func (l *Layer[T]) Slots() int { return models.Slots(l.Model) }

// Synapses lists those of the cell, biases last.
func (l *Layer[T]) Synapses() ([]Synapse, error) {
	u, err := l.shards[0].program(local)
	if err != nil {
		return nil, err
	}
	return slices.Clone(u.expr.local.synapses), nil
}

// sight tells where the program local puts what.
type sight struct {
	synapses []Synapse
	weights  []bool   // whether the weights are the parameter itself
	pre      []int    // by synapse: an output, or one of preNone, …
	slope    []int    // by synapse: an output, or −1 where it is 0
	same     int      // an output, or −1
	reach    []int    // by synapse: an output, reachOne, or −1 where it is 0
	others   []string // parameters that act other than by synapses
}

const (
	preNone  = -1 - iota // of a bias
	preState             // the state
	preInput             // the input
)

// reachOne is the derivative of a presynaptic activity that is the state itself.
const reachOne = -2

// look makes the expression of local: presynaptic activities that are not the state or the input itself, and
// derivatives that are not 0, each once.
func (e *expression) look(s *models.Scope, out *gorgonia.Node, params []models.Param) error {
	if e.u == nil {
		e.u = s.Variable("u", out.Shape()[0], out.Shape()[1])
	}
	e.outs, e.param, e.local = nil, nil, sight{same: -1}
	put := func(n *gorgonia.Node) int {
		i := slices.Index(e.outs, n)
		if i < 0 {
			i = len(e.outs)
			e.outs, e.param = append(e.outs, n), append(e.param, ofState)
		}
		return i
	}
	var products gorgonia.Nodes
	for _, y := range append(s.Synapses(), s.Biases()...) {
		products = append(products, y.Product)
		own := Synapse{Param: y.Param, Post: y.Product.Shape()[1], X: y.Pre == e.x}
		own.Role = params[slices.IndexFunc(params, func(p models.Param) bool { return p.Name == y.Param })].Role
		pre := preNone
		switch y.Pre {
		case nil:
		case e.z:
			pre = preState
		case e.x:
			pre = preInput
		default:
			pre = put(y.Pre)
		}
		if y.Pre != nil {
			own.Pre = y.Pre.Shape()[1]
		}
		e.local.synapses, e.local.pre = append(e.local.synapses, own), append(e.local.pre, pre)
		e.local.weights = append(e.local.weights, y.Weights == s.ParamNodes()[y.Param])
	}
	cut := make(map[*gorgonia.Node]bool)
	for _, p := range products {
		cut[p] = true
	}
	for _, n := range vjp.TopologicalFrom(cut, out) {
		if i := slices.Index(e.theta, n); i >= 0 && !cut[n] {
			e.local.others = append(e.local.others, params[i].Name)
		}
	}
	grads, err := vjp.VJP(gorgonia.Nodes{out}, gorgonia.Nodes{e.u}, append(products, e.z), products...)
	if err != nil {
		return err
	}
	for _, g := range grads[:len(products)] {
		e.local.slope = append(e.local.slope, -1)
		if g != nil {
			e.local.slope[len(e.local.slope)-1] = put(g)
		}
	}
	if g := grads[len(products)]; g != nil {
		e.local.same = put(g)
	}
	return e.lookBack(s, products, put)
}

// lookBack adds to what look makes how the presynaptic activities depend on their own units.
func (e *expression) lookBack(s *models.Scope, products gorgonia.Nodes, put func(n *gorgonia.Node) int) error {
	known := map[*gorgonia.Node]int{nil: -1, e.x: -1}
	for _, y := range append(s.Synapses(), s.Biases()...) {
		out, ok := known[y.Pre]
		if !ok {
			var err error
			if out, err = e.reachOf(s, y, products, put); err != nil {
				return err
			}
			known[y.Pre] = out
		}
		e.local.reach = append(e.local.reach, out)
	}
	return nil
}

// reachOf is where the derivative of a synapse's presynaptic activity is put out.
func (e *expression) reachOf(s *models.Scope, y models.Synapse, products gorgonia.Nodes, put func(n *gorgonia.Node) int) (int, error) {
	if y.Pre.Shape()[1] != y.Product.Shape()[1] {
		return -1, nil
	}
	if e.v == nil {
		e.v = s.Variable("presynaptic", y.Pre.Shape()[0], y.Pre.Shape()[1])
	}
	if err := s.Err(); err != nil {
		return -1, err
	}
	if !e.v.Shape().Eq(y.Pre.Shape()) {
		return -1, nil
	}
	grads, err := vjp.VJP(gorgonia.Nodes{y.Pre}, gorgonia.Nodes{e.v}, gorgonia.Nodes{e.z}, products...)
	switch {
	case err != nil || grads[0] == nil:
		return -1, err
	case grads[0] == e.v:
		return reachOne, nil
	}
	return put(grads[0]), nil
}

// Locals returns what the synapses see of the steps first, first+1, … up to last, without it, in the
// memory of into where that came from Locals for as many steps of as many samples, or else in new. Some of
// it is the trajectory's own and must not be written to.
func (tr *Trajectory[T]) Locals(ctx context.Context, first, last int, into []Local[T]) ([]Local[T], error) {
	if tr.back != nil || first < 0 || first > last || last > tr.Steps {
		return nil, fmt.Errorf("deq: synapses at the steps %d to %d of a trajectory of %d whose states are kept", first, last, tr.Steps)
	}
	l := tr.layer
	unit, err := l.shards[0].program(local)
	if err != nil {
		return nil, err
	}
	look := &unit.expr.local
	if len(into) != last-first || len(into) > 0 && !into[0].fits(look, tr) {
		into = make([]Local[T], last-first)
		for i := range into {
			into[i] = newLocal(look, tr)
		}
	}
	for i := range into {
		for k, pre := range look.pre {
			switch {
			case pre == preInput:
				into[i].Pre[k] = tr.Input(first + i)
			case pre == preState && tr.marks != nil:
				into[i].Pre[k] = tr.Z[first+i]
			}
		}
	}
	again, err := tr.newSegment()
	if err != nil {
		return nil, err
	}
	return into, l.sweeps(tr.made, tr.Rows, step, nil, func(w *sweep[T]) error {
		u, err := w.unit(local, w.all)
		if err != nil {
			return err
		}
		again := again.own()
		for t := first; t < last; t++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: synapses stopped at step %d: %w", t, err)
			}
			if err := tr.hold(ctx, w, t, &again); err != nil {
				return err
			}
			if err := tr.bindLocal(w, u, t, again); err != nil {
				return err
			}
			if err := into[t-first].fill(w, u, w.states(tr.state(t, again))); err != nil {
				return err
			}
		}
		return nil
	})
}

// newLocal makes the memory of what is seen of a step. Equal values share it.
func newLocal[T Float](look *sight, tr *Trajectory[T]) Local[T] {
	l, rows := tr.layer, tr.Rows
	slots := l.Slots()
	n := l.Units / slots
	memory := map[int][][]T{}
	bySlot := func(out int) [][]T {
		if out >= 0 && memory[out] == nil {
			for range slots {
				memory[out] = append(memory[out], make([]T, rows*n))
			}
		}
		return memory[out]
	}
	into := Local[T]{Pre: make([][]T, len(look.pre)), Slope: make([][][]T, len(look.slope)), Reach: make([][][]T, len(look.reach))}
	var one [][]T
	for k, pre := range look.pre {
		if pre >= 0 || pre == preState && tr.marks == nil {
			into.Pre[k] = make([]T, rows*look.synapses[k].Pre)
		}
		into.Slope[k], into.Reach[k] = bySlot(look.slope[k]), bySlot(look.reach[k])
		if look.reach[k] == reachOne {
			if one == nil {
				one = [][]T{make([]T, rows*n)}
				kernels.Fill(one[0], 1)
			}
			into.Reach[k] = one
		}
	}
	if look.same >= 0 {
		for range slots {
			var to [][]T
			for range slots {
				to = append(to, make([]T, rows*n))
			}
			into.Same = append(into.Same, to)
		}
	}
	return into
}

// fits reports whether the memory is for such a trajectory.
func (v Local[T]) fits(look *sight, tr *Trajectory[T]) bool {
	size := tr.Rows * tr.layer.Units / tr.layer.Slots()
	if len(v.Pre) != len(look.pre) || len(v.Slope) != len(look.slope) || look.same >= 0 && (len(v.Same) == 0 || len(v.Same[0][0]) != size) {
		return false
	}
	for k, out := range look.slope {
		if out >= 0 && (len(v.Slope[k]) == 0 || len(v.Slope[k][0]) != size) {
			return false
		}
		if look.pre[k] >= 0 && len(v.Pre[k]) != tr.Rows*look.synapses[k].Pre {
			return false
		}
		if look.reach[k] != -1 && (len(v.Reach[k]) == 0 || len(v.Reach[k][0]) != size) {
			return false
		}
	}
	return true
}

// bindLocal gives the program local the step from z_t.
func (tr *Trajectory[T]) bindLocal(w *sweep[T], u *unit[T], t int, again span[T]) error {
	e := u.expr
	if err := u.program.Bind(e.z, w.states(tr.state(t, again))); err != nil {
		return err
	}
	if err := u.program.Bind(e.x, tr.input(w, t)); err != nil {
		return err
	}
	for _, m := range e.marks {
		for i, own := range w.forward.expr.marks {
			if own.place == m.place {
				if err := u.program.Bind(m.node, tr.mark(w, t, i, again)); err != nil {
					return err
				}
			}
		}
	}
	w.shard.layer.count(local, w.n)
	return u.program.Run(engine.Linearisation, w.n)
}

// fill takes in what the program local, which holds a step, gives for the shard's samples: uᵀ∂f/∂a for a u
// that is 1 in one slot is the slope of that slot.
func (v Local[T]) fill(w *sweep[T], u *unit[T], z []T) error {
	look, l := &u.expr.local, w.shard.layer
	slots := l.Slots()
	n := l.Units / slots
	for s := range slots {
		if err := w.ones(u, s); err != nil {
			return err
		}
		for k, out := range look.slope {
			if out >= 0 && slices.Index(look.slope, out) == k {
				copy(w.shard.part(v.Slope[k][s], w.n, n), u.program.Out(out))
			}
		}
		spread := func(out int, to [][]T) {
			for r := range to {
				from, to := u.program.Out(out), w.shard.part(to[r], w.n, n)
				for b := range w.n {
					copy(to[b*n:(b+1)*n], from[b*l.Units+r*n:])
				}
			}
		}
		if look.same >= 0 {
			spread(look.same, v.Same[s])
		}
		for k, out := range look.reach {
			if s == 0 && out >= 0 && slices.Index(look.reach, out) == k {
				spread(out, v.Reach[k])
			}
		}
	}
	for k, pre := range look.pre { // which are there once the program has run
		switch {
		case pre >= 0:
			copy(w.shard.part(v.Pre[k], w.n, look.synapses[k].Pre), u.program.Out(pre))
		case pre == preState && &v.Pre[k][w.shard.start*l.Units] != &z[0]:
			copy(w.states(v.Pre[k]), z)
		}
	}
	return nil
}

// ones runs the program local for the u that is 1 in one slot and 0 in others, and the v that is 1.
func (w *sweep[T]) ones(u *unit[T], slot int) error {
	l := w.shard.layer
	slots := l.Slots()
	n := l.Units / slots
	size := w.shard.capacity * l.Units
	for len(w.indicators) <= slots { // the last one is 1 everywhere
		v, s := make([]T, size), len(w.indicators)
		for i := range v {
			if s == slots || i%l.Units/n == s {
				v[i] = 1
			}
		}
		w.indicators = append(w.indicators, v)
	}
	if v := u.expr.v; v != nil {
		if err := u.program.Bind(v, w.indicators[slots][:w.n*n]); err != nil {
			return err
		}
	}
	if err := u.program.Bind(u.expr.u, w.indicators[slot][:w.n*l.Units]); err != nil {
		return err
	}
	return u.program.Run(engine.Cotangent, w.n)
}

// CheckSynapses reports why rules that are local to synapses cannot train the cell: it has a parameter that
// acts other than by synapses, or a unit that reaches others within a step, as by a second layer.
func (l *Layer[T]) CheckSynapses() error {
	synapses, err := l.Synapses()
	if err != nil {
		return err
	}
	slots := l.Slots()
	if slots < 1 || l.Units%slots != 0 {
		return fmt.Errorf("deq: a state of %d numbers has %d slots", l.Units, slots)
	}
	n := l.Units / slots
	for _, y := range synapses {
		if y.Post != n {
			return fmt.Errorf("deq: the product with %s has %d columns, expected %d, one for each unit", y.Param, y.Post, n)
		}
	}
	if others := l.shards[0].units[local].expr.local.others; len(others) > 0 {
		return fmt.Errorf("deq: %s acts on the state, but not as weights of synapses", strings.Join(others, ", "))
	}
	// At a random step, derivatives for a random u must be what those of the single units say.
	draw := rng.Stream(0, "synapses")
	random := func(n int) []T {
		v := make([]T, n)
		for i := range v {
			v[i] = T(draw.NormFloat64())
		}
		return v
	}
	tr, err := l.Run(context.Background(), Sequence[T]{Rows: 1, Steps: 1, X: random(l.Inputs), Z0: random(l.Units)})
	if err != nil {
		return err
	}
	seen, err := tr.Locals(context.Background(), 0, 1, nil)
	if err != nil {
		return err
	}
	return l.sweeps(tr.made, 1, step, nil, func(w *sweep[T]) error {
		p, err := w.unit(local, w.all)
		if err != nil {
			return err
		}
		if err := tr.bindLocal(w, p, 0, span[T]{}); err != nil {
			return err
		}
		u, v := random(l.Units), random(n)
		if err := p.program.Bind(p.expr.u, u); err != nil {
			return err
		}
		if p.expr.v != nil {
			if err := p.program.Bind(p.expr.v, v); err != nil {
				return err
			}
		}
		if err := p.program.Run(engine.Cotangent, 1); err != nil {
			return err
		}
		within := func(got []T, want func(i int) float64) bool {
			var worst, scale float64
			for i := range n {
				worst, scale = max(worst, math.Abs(float64(got[i])-want(i))), max(scale, math.Abs(want(i)))
			}
			return worst <= 1e-3*scale
		}
		bySlot := func(of func(s int) []T) func(i int) float64 {
			return func(i int) float64 {
				sum := 0.0
				for s := range slots {
					sum += float64(u[s*n+i]) * float64(of(s)[i])
				}
				return sum
			}
		}
		look := &p.expr.local
		for k, out := range look.slope {
			if out >= 0 && !within(p.program.Out(out), bySlot(func(s int) []T { return seen[0].Slope[k][s] })) {
				return fmt.Errorf("deq: the product with %s reaches other units than its own within a step", synapses[k].Param)
			}
		}
		for k, out := range look.reach {
			for r := range slots {
				if out >= 0 && !within(p.program.Out(out)[r*n:], func(i int) float64 { return float64(v[i]) * float64(seen[0].Reach[k][r][i]) }) {
					return fmt.Errorf("deq: what %s multiplies mixes units other than by synapses", synapses[k].Param)
				}
			}
		}
		for r := range slots {
			if look.same >= 0 && !within(p.program.Out(look.same)[r*n:], bySlot(func(s int) []T { return seen[0].Same[s][r] })) {
				return fmt.Errorf("deq: units reach each other within a step other than by synapses")
			}
		}
		return nil
	})
}

// WeightVJP adds to g what a gradient dw of the weights of synapse k, [Post, Pre] or of a bias [Post],
// is for the parameters that the weights are made of.
func (l *Layer[T]) WeightVJP(k int, dw []T, g Params[T]) error {
	own, direct, err := l.synapse(k)
	if err = cmp.Or(err, length("dw", len(dw), own.Post*max(own.Pre, 1)), l.checkGradients(g)); err != nil || g == nil {
		return err
	}
	if direct {
		if sum := g.Data(own.Param); sum != nil {
			kernels.Add(sum, sum, dw)
		}
		return nil
	}
	pull, err := l.pull(k)
	if err != nil {
		return err
	}
	if err := pull.program.Bind(pull.expr.u, dw); err != nil {
		return err
	}
	if err := pull.program.Run(engine.Cotangent, own.Post); err != nil {
		return err
	}
	pull.addGradients(g)
	return nil
}

// Parametrized lists the synapses of the cell whose weights are made of parameters and are not a parameter itself, by their
// index in [Layer.Synapses].
func (l *Layer[T]) Parametrized() ([]int, error) {
	u, err := l.shards[0].program(local)
	if err != nil {
		return nil, err
	}
	var made []int
	for k, same := range u.expr.local.weights {
		if !same {
			made = append(made, k)
		}
	}
	return made, nil
}

// Weights are those of synapse k as the cell has them, [Post, Pre] or of a bias [Post]. They are valid
// until the parameters change, and are not to be written to.
func (l *Layer[T]) Weights(k int) ([]T, error) {
	own, direct, err := l.synapse(k)
	if err != nil {
		return nil, err
	}
	if direct {
		return l.Params.Data(own.Param), nil
	}
	pull, err := l.pull(k)
	if err != nil {
		return nil, err
	}
	return pull.program.Out(len(pull.expr.outs) - 1), nil
}

// synapse is synapse k, and whether its weights are the parameter itself.
func (l *Layer[T]) synapse(k int) (s Synapse, direct bool, err error) {
	u, err := l.shards[0].program(local)
	if err != nil {
		return s, false, err
	}
	look := &u.expr.local
	if k < 0 || k >= len(look.synapses) {
		return s, false, fmt.Errorf("deq: synapse %d of %d", k, len(look.synapses))
	}
	return look.synapses[k], look.weights[k], nil
}

// pull returns the unit that makes the weights of synapse k and takes gradients of them to their parameters, with
// the parameters of now.
func (l *Layer[T]) pull(k int) (*unit[T], error) {
	if l.pulls[k] == nil {
		if err := l.newPull(k); err != nil {
			return nil, err
		}
	}
	pull := l.pulls[k]
	if pull.version == l.version {
		return pull, nil
	}
	if err := pull.program.Run(engine.Parameters, 0); err != nil {
		return nil, err
	}
	pull.version = l.version
	return pull, nil
}

// newPull compiles what pull returns.
func (l *Layer[T]) newPull(k int) error {
	e := &expression{theta: make(gorgonia.Nodes, len(l.dims.params))}
	err := engine.Build(func() error {
		s := models.NewScope(dtypeOf[T](), l.dims.params)
		l.Model.Cell(s, s.Variable("z", 1, l.Units), s.Variable("x", 1, l.Inputs))
		if err := s.Err(); err != nil {
			return err
		}
		w := append(s.Synapses(), s.Biases()...)[k].Weights
		used := s.ParamNodes()
		for i, p := range l.dims.params {
			if n := used[p.Name]; n != nil {
				e.theta[i] = n
				e.inputs = append(e.inputs, engine.Input{Node: n, Rate: engine.Parameters})
			}
		}
		err := e.pullback(s, w)
		e.outs, e.param = append(e.outs, w), append(e.param, ofState)
		e.inputs = append(e.inputs, engine.Input{Node: e.u, Rate: engine.Cotangent})
		return err
	})
	if err != nil {
		return fmt.Errorf("deq: %w", err)
	}
	p, err := l.compile(e, e.u.Shape()[0])
	if err != nil {
		return fmt.Errorf("deq: compile the gradient of synapse %d: %w", k, err)
	}
	if l.pulls == nil {
		l.pulls = map[int]*unit[T]{}
	}
	l.pulls[k] = &unit[T]{expr: e, program: p}
	return nil
}

// Jacobians writes the dense ∂f/∂z at z_t of every sample, J[i][j] = ∂f_i/∂z_j, to dst [rows, units, units].
func (tr *Trajectory[T]) Jacobians(ctx context.Context, t int, dst []T) error {
	l := tr.layer
	if t < 0 || t >= tr.Steps || tr.back != nil {
		return fmt.Errorf("deq: Jacobians at step %d of a trajectory of %d whose states are kept", t, tr.Steps)
	}
	if err := length("dst", len(dst), tr.Rows*l.Units*l.Units); err != nil {
		return err
	}
	again, err := tr.newSegment()
	if err != nil {
		return err
	}
	return l.sweeps(tr.made, tr.Rows, stepAdjoint, nil, func(w *sweep[T]) error {
		again := again.own()
		if err := tr.hold(ctx, w, t, &again); err != nil {
			return err
		}
		z, x, samples := w.states(tr.state(t, again)), tr.input(w, t), w.n
		marks := make([][]T, len(w.forward.expr.marks))
		for i := range marks {
			marks[i] = tr.mark(w, t, i, again)
		}
		// Each sample is repeated, with a unit vector for each of its rows.
		rows := make([]int, w.shard.capacity)
		for b := range samples {
			for first := 0; first < l.Units; first += len(rows) {
				for i := range rows {
					rows[i] = b
				}
				w.n = min(len(rows), l.Units-first)
				if err := w.shard.bindMasks(w.back, rows[:w.n], 0); err != nil {
					return err
				}
				repeat := func(to, from []T, width int) {
					for i := range w.n {
						copy(to[i*width:(i+1)*width], from[b*width:])
					}
				}
				repeat(w.z, z, l.Units)
				repeat(w.xs, x, l.Inputs)
				for i, m := range w.forward.expr.marks {
					repeat(w.marks[i], marks[i], m.width)
				}
				u := w.cotangent()
				clear(u)
				for i := range w.n {
					u[i*l.Units+first+i] = 1
				}
				if err := w.bind(w.back, 0, 1); err != nil {
					return err
				}
				l.count(stepAdjoint, w.n)
				if err := w.back.program.Run(engine.Cotangent, w.n); err != nil {
					return err
				}
				to := dst[((w.shard.start+b)*l.Units+first)*l.Units:][:w.n*l.Units]
				clear(to)
				if w.back.expr.onState() {
					copy(to, w.back.program.Out(0))
				}
			}
		}
		return nil
	})
}

package rules

import (
	"context"
	"fmt"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
)

// Broadcast is what rules have in common that are local but for signals by which units tell those that drive
// them of their credit: to the credits of Local comes what other units send,
//
//	ℓ_p(t) + Σ_j W_jp a_j(t+1),   a_j = Σ_s ∂f_s/∂a_j u_j,s,
//
// and the trace of a synapse is multiplied by both. Of the weights the senders need not know more than
// their means by type. What comes by presynaptic activities that are not those of single units, as in a loop by
// a readout, is left out.
type Broadcast[T deq.Float] struct {
	Local[T]
	Types int `doc:"number k of types of units: W_jp is the mean weight from the type of p to that of j; where Dale's law tells kinds of units each type is of one kind; 0: the weights themselves" max:"1e6: no network has more units"`
}

// Validate reports options outside their range.
func (o Broadcast[T]) Validate() error {
	if o.Types < 0 {
		return fmt.Errorf("types: expected 0 or more, found %d", o.Types)
	}
	return o.Local.Validate()
}

// Check implements Rule: the synapses of the cell must be named.
func (o Broadcast[T]) Check(l *deq.Layer[T]) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if err := l.CheckSynapses(); err != nil {
		return fmt.Errorf("rules: signals from unit to unit need a cell of synapses: %w", err)
	}
	_, err := cellTypes(models.Types(l.Model), l.Units/l.Slots(), o.Types)
	return err
}

// Audit implements Rule. Means by type are those of the weights, of which the rule so knows something.
func (o Broadcast[T]) Audit() Audit {
	a := o.Local.Audit()
	a.RecurrentTransport, a.Time = true, "T k n^2"
	return a
}

// gradient is that of Local for credits to which come those by other units, of up to hops synapses on
// the way. With smooth, what happens on the way but at its ends is replaced by its mean.
func (o Broadcast[T]) gradient(ctx context.Context, p Passage[T], hops int, smooth bool, g deq.Params[T]) (Report, error) {
	hops = min(hops, p.Steps) // of which each takes a step
	outputs, err := o.credits(p, g)
	if err != nil {
		return Report{}, err
	}
	s, err := newSignals(ctx, p, kit.WithDefaults(o).Types, smooth)
	if err != nil {
		return Report{}, err
	}
	if outputs, err = s.spread(outputs, hops); err != nil {
		return Report{}, err
	}
	if err := p.VJP(ctx, deq.Back[T]{Outputs: outputs, Credit: deq.CutCredit}, g); err != nil {
		return Report{}, err
	}
	return Report{Bytes: p.Bytes() + outputs.Bytes() + s.bytes(hops)}, nil
}

// signals are what units send to each other about the steps of a passage.
type signals[T deq.Float] struct {
	p        Passage[T]
	n        int
	synapses []int          // the recurrent ones
	weights  [][]T          // of these [n, n], post by pre, or their means by type
	seen     []deq.Local[T] // by step
	mean     *deq.Local[T]  // over the passage; nil where what is on the way is taken as it is
}

func newSignals[T deq.Float](ctx context.Context, p Passage[T], types int, smooth bool) (*signals[T], error) {
	l := p.Layer()
	s := &signals[T]{p: p, n: l.Units / l.Slots()}
	var err error
	if s.seen, err = p.Locals(ctx, 0, p.Steps, nil); err != nil {
		return nil, err
	}
	typeOf, err := cellTypes(models.Types(l.Model), s.n, types)
	if err != nil {
		return nil, err
	}
	for k := range s.seen[0].Reach {
		if s.seen[0].Reach[k] == nil || s.seen[0].Slope[k] == nil {
			continue
		}
		w, err := l.Weights(k)
		if err != nil {
			return nil, err
		}
		if types > 0 {
			w = byType(w, typeOf)
		}
		s.synapses, s.weights = append(s.synapses, k), append(s.weights, w)
	}
	if smooth {
		s.mean = meanLocal(s.seen, s.synapses)
	}
	return s, nil
}

// spread adds to the credits of states what they get from later ones over up to so many hops from
// unit to unit. With u⁰_t what stays within the units of the credits from t on, as e-prop has it, and C_t what
// of the step's adjoint goes over synapses,
//
//	u^{i+1}_t = D_t u^{i+1}_{t+1} + C_t u^i_{t+1},   ℓ_t ← ℓ_t + Σ_i C_t u^i_{t+1}.
func (s *signals[T]) spread(outputs deq.Outputs[T], hops int) (deq.Outputs[T], error) {
	l := s.p.Layer()
	size := s.p.Rows * l.Units
	out := make(deq.Outputs[T], len(outputs))
	u, passed := make([][]T, hops), make([]T, size)
	for i := range u {
		u[i] = make([]T, size)
	}
	a, sent := make([]T, s.p.Rows*s.n), make([]T, s.p.Rows*s.n)
	for t := s.p.Steps; t >= 1; t-- {
		dz := outputs.DZ(t)
		if dz == nil && outputs.DY(t) != nil {
			return nil, fmt.Errorf("rules: signals at step %d: its state is not kept", t)
		}
		total := make([]T, size)
		if dz != nil {
			copy(total, dz)
		}
		out[t] = &deq.Output[T]{DZ: total}
		if t < s.p.Steps {
			here := &s.seen[t]
			between := here
			if s.mean != nil {
				between = s.mean
			}
			for i := hops - 1; i >= 0; i-- {
				sender := between
				if i == 0 {
					sender = here
				}
				if i+1 < hops {
					stay(u[i+1], between.Same, s.n, passed)
				}
				for k, y := range s.synapses {
					withinUnits(u[i], sender.Slope[y], s.n, a)
					kernels.Gemm(false, false, s.p.Rows, s.n, s.n, a, s.n, s.weights[k], s.n, 0, sent, s.n)
					arrive(sent, here.Reach[y], s.n, total)
					if i+1 < hops {
						arrive(sent, between.Reach[y], s.n, u[i+1])
					}
				}
				l.Account(deq.Reads{Transposed: int64(s.p.Rows)})
			}
			stay(u[0], here.Same, s.n, passed)
		}
		if dz != nil {
			kernels.Add(u[0], u[0], dz)
		}
	}
	return out, nil
}

// bytes is the memory of the signals.
func (s *signals[T]) bytes(hops int) int {
	n := (hops+1)*s.p.Rows*s.p.Layer().Units + 2*s.p.Rows*s.n
	for _, here := range s.seen {
		for _, v := range here.Same {
			n += len(v) * len(v[0])
		}
		for k := range here.Slope {
			n += len(here.Pre[k])
			for _, v := range [][][]T{here.Slope[k], here.Reach[k]} {
				if len(v) > 0 {
					n += len(v) * len(v[0])
				}
			}
		}
	}
	return n * bytesOf(make([]T, 1))
}

// withinUnits writes Σ_s u_s ⊙ v[s] [rows, n] to dst, for credits u [rows, slots·n] of units.
func withinUnits[T deq.Float](u []T, v [][]T, n int, dst []T) {
	clear(dst)
	for slot, of := range v {
		for b := range len(dst) / n {
			row := dst[b*n : (b+1)*n]
			kernels.MulAdd(row, u[(b*len(v)+slot)*n:(b*len(v)+slot+1)*n], of[b*n:(b+1)*n], row)
		}
	}
}

// arrive adds v[r] ⊙ sent to slot r of u [rows, slots·n].
func arrive[T deq.Float](sent []T, v [][]T, n int, u []T) {
	for slot, of := range v {
		for b := range len(sent) / n {
			row := u[(b*len(v)+slot)*n : (b*len(v)+slot+1)*n]
			kernels.MulAdd(row, sent[b*n:(b+1)*n], of[b*n:(b+1)*n], row)
		}
	}
}

// stay takes credits u [rows, slots·n] of units back over a step within each: Σ_s u_s ⊙ same[s][r] for slot r.
func stay[T deq.Float](u []T, same [][][]T, n int, scratch []T) {
	clear(scratch)
	for s, row := range same {
		for r, of := range row {
			slots := len(row)
			for b := range len(of) / n {
				to := scratch[(b*slots+r)*n : (b*slots+r+1)*n]
				kernels.MulAdd(to, u[(b*slots+s)*n:(b*slots+s+1)*n], of[b*n:(b+1)*n], to)
			}
		}
	}
	copy(u, scratch)
}

// meanLocal is what synapses see with every factor replaced by its mean over units, samples and steps.
func meanLocal[T deq.Float](seen []deq.Local[T], synapses []int) *deq.Local[T] {
	over := func(of func(here *deq.Local[T]) []T) []T {
		sum, n := 0.0, 0
		for t := range seen {
			v := of(&seen[t])
			sum, n = sum+kernels.Sum(v), n+len(v)
		}
		mean := make([]T, len(of(&seen[0])))
		kernels.Fill(mean, T(sum/float64(n)))
		return mean
	}
	bySlot := func(of func(here *deq.Local[T]) [][]T) (all [][]T) {
		for slot := range of(&seen[0]) {
			all = append(all, over(func(here *deq.Local[T]) []T { return of(here)[slot] }))
		}
		return all
	}
	mean := &deq.Local[T]{Slope: make([][][]T, len(seen[0].Slope)), Reach: make([][][]T, len(seen[0].Reach))}
	for s := range seen[0].Same {
		mean.Same = append(mean.Same, bySlot(func(here *deq.Local[T]) [][]T { return here.Same[s] }))
	}
	for _, k := range synapses {
		mean.Slope[k] = bySlot(func(here *deq.Local[T]) [][]T { return here.Slope[k] })
		mean.Reach[k] = bySlot(func(here *deq.Local[T]) [][]T { return here.Reach[k] })
	}
	return mean
}

// cellTypes divides n units into k types, each of units of one kind that follow one another, and kinds in
// proportion to their sizes. kinds, the kind of every unit, may be nil.
func cellTypes(kinds []int, n, k int) ([]int, error) {
	if k == 0 {
		return nil, nil
	}
	if kinds == nil {
		kinds = make([]int, n)
	}
	sizes := make([]int, slices.Max(kinds)+1)
	for _, kind := range kinds {
		sizes[kind]++
	}
	if k < len(sizes) || k > n {
		return nil, fmt.Errorf("rules: %d types of %d units of %d kinds: expected at least one for each kind, and not more than units", k, n, len(sizes))
	}
	parts := make([]int, len(sizes)) // types of each kind
	for i := range parts {
		parts[i] = 1
	}
	for range k - len(sizes) {
		most := 0
		for i := range parts {
			if sizes[i]*parts[most] > sizes[most]*parts[i] {
				most = i
			}
		}
		parts[most]++
	}
	first, seen, types := make([]int, len(sizes)), make([]int, len(sizes)), make([]int, n)
	for i := 1; i < len(first); i++ {
		first[i] = first[i-1] + parts[i-1]
	}
	for i, kind := range kinds {
		types[i] = first[kind] + seen[kind]*parts[kind]/sizes[kind]
		seen[kind]++
	}
	return types, nil
}

// byType replaces weights [n, n] by their means over all pairs of units of the same two types.
func byType[T deq.Float](w []T, types []int) []T {
	n, k := len(types), slices.Max(types)+1
	sums, pairs := make([]float64, k*k), make([]float64, k*k)
	for i := range n {
		for j := range n {
			of := types[i]*k + types[j]
			sums[of], pairs[of] = sums[of]+float64(w[i*n+j]), pairs[of]+1
		}
	}
	mean := make([]T, n*n)
	for i := range n {
		for j := range n {
			of := types[i]*k + types[j]
			mean[i*n+j] = T(sums[of] / pairs[of])
		}
	}
	return mean
}

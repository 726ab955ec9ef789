package rules

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
)

// KFRTRL is Kronecker-factored real-time recurrent learning. Of weights whose products are added in the unit,
// such as W, U and b of φ(zWᵀ + xUᵀ + b), with all that is presynaptic side by side, â [presynaptic], and
// D = ∂f/∂a [n, n] for their sum a, it carries how the state of a sample depends on them as two factors
// A [presynaptic] and B [n, n], from 0: with signs ν₀ and ν₁ drawn at every step,
//
//	A ← ν₀p₀ A + ν₁p₁ â,   B ← ν₀ J B/p₀ + ν₁ D/p₁,   ∂z_k/∂w_ij ≈ B_ki A_j
//
// where p₀ = √(‖JB‖/‖A‖) and p₁ = √(‖D‖/‖â‖). The mean of A ⊗ B is ∂z_t/∂w, so that the mean of the estimate is
// the gradient of bptt. What a step gives by itself, â ⊗ D, has no variance: it is lower than that of
// UORO, for products of n×n matrices.
//
// A. Mujika, F. Meier and A. Steger, Approximating real-time recurrent learning with random Kronecker
// factors, NeurIPS 2018, arXiv:1805.10842.
type KFRTRL[T deq.Float] struct {
	Estimate
}

func kfRTRLEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "kf-rtrl", Value: KFRTRL[T]{}, Doc: `Kronecker-factored real-time recurrent learning: the gradient in the mean, online

Carries the dependence of the state on all weights forwards as a product of a vector over the presynaptic
units and a matrix [n, n] over the units, which random signs make right in the mean. Its variance is
lower than that of uoro; the price is a product of two n×n matrices a sample and step. No states are kept and
no weights transported. It needs a cell that acts by synapses each on its own unit within a step. Training
whose factors do not fit into max_bytes is refused before it starts.`,
		Refs: []string{`@inproceedings{mujika2018approximating,
  title     = {Approximating Real-Time Recurrent Learning with Random {Kronecker} Factors},
  author    = {Mujika, Asier and Meier, Florian and Steger, Angelika},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {31},
  year      = {2018},
  eprint    = {1805.10842},
  archiveprefix = {arXiv}
}`}}
}

// Check implements Rule: the cell acts by its synapses alone, each on its own unit, and the factors fit into
// the memory.
func (r KFRTRL[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	seen, err := direct(l)
	if err != nil {
		return fmt.Errorf("rules: kf-rtrl: %w", err)
	}
	groups, err := groupsOf(l, seen)
	if err != nil {
		return fmt.Errorf("rules: kf-rtrl: %w", err)
	}
	return r.fits("kf-rtrl", fmt.Sprintf("factors of %d units, for %d samples", l.Units, l.Batch()), r.bytes(l, groups, l.Batch()))
}

// bytes is the memory that a batch needs: a float, since it may be beyond an int.
func (KFRTRL[T]) bytes(l *deq.Layer[T], groups []group, rows int) float64 {
	square := float64(l.Units) * float64(l.Units/l.Slots())
	sum, sample := square, 0.0
	for _, o := range groups {
		sum += float64(o.pre) * float64(1+l.Units/l.Slots())
		sample += square + float64(o.pre)
	}
	return (sum + float64(rows)*sample) * float64(bytesOf(make([]T, 1)))
}

// Exact implements Rule.
func (KFRTRL[T]) Exact() bool { return false }

// Audit implements Rule.
func (KFRTRL[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Memory: "n^2", Time: "k T n^3"}
}

// direct looks at a step at random, and reports why not all that the parameters do to the state is by
// synapses on their own units within a step.
func direct[T deq.Float](l *deq.Layer[T]) (seen deq.Local[T], err error) {
	if err := l.CheckSynapses(); err != nil {
		return seen, err
	}
	ctx := context.Background()
	draw := rng.Stream(0, "direct")
	random := func(n int) []T {
		v := make([]T, n)
		for i := range v {
			v[i] = T(draw.NormFloat64())
		}
		return v
	}
	tr, err := l.Run(ctx, deq.Sequence[T]{Rows: 1, Steps: 1, X: random(l.Inputs), Z0: random(l.Units)})
	if err != nil {
		return seen, err
	}
	all, own, outputs := l.Params.ZerosLike(), l.Params.ZerosLike(), tr.LastOutput(random(l.Units))
	if err := tr.VJP(ctx, deq.Back[T]{Outputs: outputs}, all); err != nil {
		return seen, err
	}
	if err := tr.VJP(ctx, deq.Back[T]{Outputs: outputs, Credit: deq.CutCredit}, own); err != nil {
		return seen, err
	}
	for i, p := range all {
		if d, s := kernels.DistanceAndSquares(own[i].Data, p.Data); d > 1e-6*s {
			return seen, fmt.Errorf("the synapses of %s reach other units than their own within a step", p.Name)
		}
	}
	of, err := tr.Locals(ctx, 0, 1, nil)
	if err != nil {
		return seen, err
	}
	return of[0], nil
}

// group is synapses whose products are added in the units, so that they have one slope.
type group struct {
	synapses []int
	width    []int // of each: its presynaptic units, 1 for a bias
	pre      int   // of all
}

// groupsOf lists the groups of a cell, of which a step has been seen; synapses that do nothing are in none.
func groupsOf[T deq.Float](l *deq.Layer[T], seen deq.Local[T]) ([]group, error) {
	synapses, err := l.Synapses()
	if err != nil {
		return nil, err
	}
	var groups []group
	for k, y := range synapses {
		slope := seen.Slope[k]
		if slope == nil {
			continue
		}
		i := slices.IndexFunc(groups, func(o group) bool { return &seen.Slope[o.synapses[0]][0][0] == &slope[0][0] })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{})
		}
		o, width := &groups[i], max(y.Pre, 1)
		o.synapses, o.width, o.pre = append(o.synapses, k), append(o.width, width), o.pre+width
	}
	return groups, nil
}

// presynaptic puts what is presynaptic to a group side by side, for sample b.
func presynaptic[T deq.Float](o group, seen deq.Local[T], b int, dst []T) {
	for i, k := range o.synapses {
		if pre, w := seen.Pre[k], o.width[i]; pre == nil {
			dst[0] = 1
		} else {
			copy(dst[:w], pre[b*w:(b+1)*w])
		}
		dst = dst[o.width[i]:]
	}
}

// pullGroup adds to g what a gradient dw [n, presynaptic] of the weights of a group is for the parameters.
func pullGroup[T deq.Float](l *deq.Layer[T], o group, dw []T, g deq.Params[T]) error {
	first := 0
	for i, k := range o.synapses {
		var own []T
		for at := first; at < len(dw); at += o.pre {
			own = append(own, dw[at:at+o.width[i]]...)
		}
		if err := l.WeightVJP(k, own, g); err != nil {
			return err
		}
		first += o.width[i]
	}
	return nil
}

// kronecker is the factors of a sample for a group.
type kronecker[T deq.Float] struct {
	a  []T // A [presynaptic]
	bt []T // Bᵀ [n, units]
}

// Gradient implements TemporalRule.
func (r KFRTRL[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	r = options.WithDefaults(r)
	l := p.Layer()
	n := l.Units / l.Slots()
	seen, err := p.Locals(ctx, 0, 1, nil)
	if err != nil {
		return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
	}
	groups, err := groupsOf(l, seen[0])
	if err != nil {
		return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
	}
	carried := make([][]kronecker[T], p.Rows) // by sample and group
	for b := range carried {
		for _, o := range groups {
			carried[b] = append(carried[b], kronecker[T]{a: make([]T, o.pre), bt: make([]T, n*l.Units)})
		}
	}
	sums, pre := make([][]T, len(groups)), make([][]T, len(groups)) // dw [n, presynaptic], and â of one sample
	for k, o := range groups {
		sums[k], pre[k] = make([]T, n*o.pre), make([]T, o.pre)
	}
	next := make([]T, n*l.Units)
	random := p.Random.Stream("kf-rtrl")
	for range r.Draws {
		for _, of := range carried {
			for _, f := range of {
				clear(f.a)
				clear(f.bt)
			}
		}
		err := p.online(ctx, func(t int, e *deq.Equilibrium[T], dz []T) (err error) {
			if seen, err = p.Locals(ctx, t, t+1, seen); err != nil {
				return err
			}
			for b, of := range carried {
				for k, o := range groups {
					presynaptic(o, seen[0], b, pre[k])
					if err := of[k].step(e, b, seen[0].Slope[o.synapses[0]], pre[k], sign[T](random), sign[T](random), next); err != nil {
						return err
					}
					if dz == nil {
						continue
					}
					for i := range n {
						credit := T(kernels.Dot(dz[b*l.Units:(b+1)*l.Units], of[k].bt[i*l.Units:(i+1)*l.Units]))
						kernels.Axpy(credit, of[k].a, sums[k][i*o.pre:(i+1)*o.pre])
					}
				}
			}
			return nil
		})
		if err != nil {
			return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
		}
	}
	for k, o := range groups {
		kernels.Scale(sums[k], T(1/float64(r.Draws)), sums[k])
		if err := pullGroup(l, o, sums[k], g); err != nil {
			return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
		}
	}
	return Report{Bytes: int(r.bytes(l, groups, p.Rows))}, nil
}

// step takes the factors of sample b over a step, in the memory of next [n, units].
func (f *kronecker[T]) step(e *deq.Equilibrium[T], b int, slope [][]T, pre []T, old, new T, next []T) error {
	l := e.Layer()
	n, most := l.Units/l.Slots(), l.Batch()
	for first := 0; first < n; first += most {
		rows := min(most, n-first)
		same, err := e.Repeat(b, rows)
		if err != nil {
			return err
		}
		if err := same.JVP(f.bt[first*l.Units:(first+rows)*l.Units], next[first*l.Units:(first+rows)*l.Units]); err != nil {
			return err
		}
	}
	squares := 0.0
	for _, v := range slope {
		squares += kernels.SumSquares(v[b*n : (b+1)*n])
	}
	p0, p1 := balance(norm(next), norm(f.a)), balance(math.Sqrt(squares), norm(pre))
	kernels.Scale(f.a, old*T(p0), f.a)
	kernels.Axpy(new*T(p1), pre, f.a)
	kernels.Scale(f.bt, old*T(1/p0), next)
	for s, v := range slope {
		for i := range n {
			f.bt[i*l.Units+s*n+i] += new * T(1/p1) * v[b*n+i]
		}
	}
	return nil
}

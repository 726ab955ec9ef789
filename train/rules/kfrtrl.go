package rules

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
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
	n, sum, sample := float64(l.Units/l.Slots()), 0.0, 0.0
	for _, o := range groups {
		sum += float64(o.all) * (1 + n)
		sample += n*float64(l.Units) + float64(o.all)
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
	draw := kit.Stream(0, "direct")
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
	all      int   // of all of them
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
		o.synapses, o.width, o.all = append(o.synapses, k), append(o.width, width), o.all+width
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
		for at := first; at < len(dw); at += o.all {
			own = append(own, dw[at:at+o.width[i]]...)
		}
		if err := l.WeightVJP(k, own, g); err != nil {
			return err
		}
		first += o.width[i]
	}
	return nil
}

// kronecker is the factors of all samples for a group, with what they add up to.
type kronecker[T deq.Float] struct {
	group
	a   []T   // A [rows, presynaptic]
	b   [][]T // by postsynaptic unit: its column of B [rows, units]
	pre []T   // â of one sample
	sum []T   // ∂L/∂w [n, presynaptic]
}

// Gradient implements TemporalRule.
func (r KFRTRL[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
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
	var carried []kronecker[T]
	for _, o := range groups {
		f := kronecker[T]{group: o, a: make([]T, p.Rows*o.all), pre: make([]T, o.all), sum: make([]T, n*o.all)}
		for range n {
			f.b = append(f.b, make([]T, p.Rows*l.Units))
		}
		carried = append(carried, f)
	}
	random := p.Random.Stream("kf-rtrl")
	for range r.Draws {
		for _, f := range carried {
			clear(f.a)
			for _, column := range f.b {
				clear(column)
			}
		}
		err := p.online(ctx, func(t int, e *deq.Equilibrium[T], dz []T) (err error) {
			if seen, err = p.Locals(ctx, t, t+1, seen); err != nil {
				return err
			}
			for _, f := range carried {
				for _, column := range f.b {
					if err := e.JVP(column, column); err != nil {
						return err
					}
				}
				for row := range p.Rows {
					f.step(seen[0], row, sign[T](random), sign[T](random))
					if dz != nil {
						f.credit(dz, row)
					}
				}
			}
			return nil
		})
		if err != nil {
			return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
		}
	}
	for _, f := range carried {
		kernels.Scale(f.sum, T(1/float64(r.Draws)), f.sum)
		if err := pullGroup(l, f.group, f.sum, g); err != nil {
			return Report{}, fmt.Errorf("rules: kf-rtrl: %w", err)
		}
	}
	return Report{Bytes: int(r.bytes(l, groups, p.Rows))}, nil
}

// step takes the factors of a sample over a step, with B multiplied by J already.
func (f *kronecker[T]) step(seen deq.Local[T], row int, old, new T) {
	presynaptic(f.group, seen, row, f.pre)
	slope, n, a := seen.Slope[f.synapses[0]], len(f.b), f.a[row*f.all:(row+1)*f.all]
	units := n * len(slope)
	b, d := 0.0, 0.0 // ‖JB‖² and ‖D‖²
	for _, column := range f.b {
		b += kernels.SumSquares(column[row*units : (row+1)*units])
	}
	for _, v := range slope {
		d += kernels.SumSquares(v[row*n : (row+1)*n])
	}
	p0, p1 := balance(math.Sqrt(b), norm(a)), balance(math.Sqrt(d), norm(f.pre))
	kernels.Scale(a, old*T(p0), a)
	kernels.Axpy(new*T(p1), f.pre, a)
	for i, column := range f.b {
		own := column[row*units : (row+1)*units]
		kernels.Scale(own, old*T(1/p0), own)
		for s, v := range slope {
			own[s*n+i] += new * T(1/p1) * v[row*n+i]
		}
	}
}

// credit adds what a sample gives to the gradient, for ∂L/∂z [rows, units] of the state after the step.
func (f *kronecker[T]) credit(dz []T, row int) {
	width := f.all
	for i, column := range f.b {
		units := len(column) / (len(f.a) / width)
		credit := kernels.Dot(dz[row*units:(row+1)*units], column[row*units:(row+1)*units])
		kernels.Axpy(T(credit), f.a[row*width:(row+1)*width], f.sum[i*width:(i+1)*width])
	}
}

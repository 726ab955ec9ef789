package stability

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Lyapunov are the options of Exponents.
type Lyapunov struct {
	Dynamics string  `default:"map" doc:"the map z ← f(z), or the rate dynamics dz/dt = −z + f(z) in steps of 0.1 units of time, each with the input of its own" choices:"map,rate"`
	K        int     `default:"1" doc:"exponents wanted, the largest first; at most there are as many as units"`
	Steps    int     `default:"20000" doc:"steps over which they are averaged"`
	Warmup   int     `default:"1000" doc:"steps before those, in which the state comes to the attractor and the tangents turn to their directions"`
	Blocks   int     `default:"20" doc:"parts of the steps from whose means the standard error is estimated"`
	Effort   float64 `default:"1" doc:"factor of the evaluations of f that the rate dynamics are allowed, 1000 for a unit of time"`
	Seed     uint64  `doc:"of the initial tangents, and of the initial state from N(0,1) where none is given"`
}

// MaxSteps is the largest number of steps, with those of the warm-up: a network of one unit takes an hour for it.
const MaxSteps = 1_000_000_000

// Validate reports options outside their range.
func (o Lyapunov) Validate() error {
	o = options.WithDefaults(o)
	switch {
	case o.Dynamics != "map" && o.Dynamics != "rate":
		return fmt.Errorf("dynamics: expected map or rate, found %q", o.Dynamics)
	case o.K < 1:
		return fmt.Errorf("k: expected at least 1 exponent, found %d", o.K)
	case o.Warmup < 0 || o.Blocks < 2 || o.Steps < o.Blocks:
		return fmt.Errorf("steps: expected at least one for each of 2 or more blocks and a warmup of at least 0, found %d in %d blocks after %d", o.Steps, o.Blocks, o.Warmup)
	case !(o.Effort > 0) || math.IsInf(o.Effort, 1):
		return fmt.Errorf("effort: expected a positive number, found %g", o.Effort)
	case o.Steps > MaxSteps || o.Warmup > MaxSteps-o.Steps:
		return fmt.Errorf("steps: expected at most %d with those of the warm-up, which takes the smallest network about an hour, found %d after %d", MaxSteps, o.Steps, o.Warmup)
	}
	return nil
}

// Drive writes the input of a step, counted from 0 with the warm-up, to x [inputs].
type Drive[T deq.Float] func(step int, x []T)

// Repeating is the drive by a sequence x [steps, inputs], over and over again: of several trials one
// after the other, the state goes on from each to the next.
func Repeating[T deq.Float](x []T) Drive[T] {
	return func(step int, dst []T) {
		rows := len(x) / len(dst)
		copy(dst, x[step%rows*len(dst):])
	}
}

// Exponent is a Lyapunov exponent.
type Exponent struct {
	// Value is in nats per step of the map, or per unit of time. It is −∞ where perturbations vanish, since J is
	// singular: up to rounding, relative to the larger entries in each of its rows and columns.
	Value float64
	// StdErr is the standard error of Value as a mean over blocks of steps, with the estimated errors of the
	// integration in time, of rounding, and of a drift added: where the blocks approach a limit slowly, as near a marginal
	// point, it reaches to that. Of −∞ it is 0.
	StdErr float64
	// Lost counts the steps at which the direction was not told from those of the larger exponents up to rounding.
	Lost int
	// Bound says that Value is an upper bound: J is regular, but directions were lost to rounding.
	Bound bool
}

// Exponents measures the K largest Lyapunov exponents of z_{t+1} = f(z_t, x_t): K orthonormal
// tangents Q go along,
//
//	Q_{t+1} R_{t+1} = J(z_t, x_t) Q_t   (QR decomposition),   λ_i = ⟨log |R_ii|⟩,
//
// with a random Q at first. At a state on kinks of the cell (models.Kink), as the rest state of a relu network without
// biases is, J is that of the piece on the side from which the state has come, along the tangent which began as z_0; where that
// vanishes, along the direction that grows most of many. Of the rate dynamics the tangents follow dQ/dt = −Q + J(z, x)Q instead, integrated with
// the state by the method of Dormand and Prince with a local error of 1e-7 and orthonormalised after each
// of its steps; where the state rests they are Re λ − 1 of the eigenvalues λ of J. Where that takes more evaluations of f than
// are allowed, as rates are very different, an implicit method brings the state to rest, if it comes to. If it does not,
// the exponents are those of fewer steps, or there are none, and the error is a *StiffError that says so.
//
// drive gives the inputs, nil stands for 0: the exponents of a driven network are
// those for its sequence of inputs. z0 [units] is the state at first, nil stands for a random one. All exponents of
// a cell with n units take some 6n³ operations a step, the first takes 4n².
//
// G. Benettin, L. Galgani, A. Giorgilli and J.-M. Strelcyn, Meccanica 15 (1980) 9–20,
// doi:10.1007/BF02128236.
func Exponents[T deq.Float](ctx context.Context, l *deq.Layer[T], drive Drive[T], z0 []T, o Lyapunov) ([]Exponent, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("stability: Lyapunov exponents: %w", err)
	}
	o = options.WithDefaults(o)
	f, err := newFlow(l, drive, z0, min(o.K, l.Units), o.Seed)
	if err != nil {
		return nil, err
	}
	var g *glide[T]
	if o.Dynamics == "rate" {
		g = newGlide(f)
		g.allow(o)
	}
	out, err := f.measure(ctx, g, o)
	if over := (*overrun)(nil); errors.As(err, &over) {
		return g.hurry(ctx, o, over)
	}
	return out, err
}

// measure measures the exponents, by the map where g is nil.
func (f *flow[T]) measure(ctx context.Context, g *glide[T], o Lyapunov) (_ []Exponent, err error) {
	k := f.k
	out := make([]Exponent, k)
	sums := make([][]float64, k) // by block
	for i := range sums {
		sums[i] = make([]float64, o.Blocks)
	}
	lengths := make([]float64, o.Blocks)
	share := float64(o.Blocks) / float64(o.Steps)
	for t := 0; t < o.Warmup+o.Steps; {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stability: Lyapunov exponents: step %d: %w", t, err)
		}
		if t < o.Warmup {
			if g != nil { // in parts, before each of which it may have come to rest
				t, err = g.move(ctx, t, min(o.Warmup, t+max(1, o.Warmup/10)), nil)
			} else if err = f.push(); err == nil {
				err = f.orthonormaliseSharply(nil)
				t++
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if t == o.Warmup {
			f.fresh()
		}
		lost := func(i int) { out[i].Lost++ }
		block := (t - o.Warmup) * o.Blocks / o.Steps
		measured := 1
		if g != nil {
			end := o.Warmup + ((block+1)*o.Steps+o.Blocks-1)/o.Blocks // of the block
			from := t
			t, err = g.move(ctx, t, end, func(i int, growth float64) { sums[i][block] += growth * share })
			measured = t - from
		} else if err = f.push(); err == nil {
			err = f.orthonormaliseSharply(lost)
			for i := range sums {
				sums[i][block] += f.growth(i) * share
			}
			t++
		}
		if err != nil {
			return nil, err
		}
		lengths[block] += float64(measured) * share
	}
	for i, s := range sums {
		for b := range s {
			s[b] /= lengths[b]
		}
		var sd float64
		out[i].Value, sd = stat.MeanStdDev(s, lengths)
		if math.IsNaN(sd) { // of blocks that are equal, but for rounding
			sd = 0
		}
		out[i].StdErr = stat.StdErr(sd, float64(o.Blocks)) + drift(s) + float64(f.layer.Units)*unit[T]()
		if g != nil {
			out[i].Value /= step
			out[i].StdErr = out[i].StdErr/step + g.off[i]/(step*float64(o.Steps))
			if g.restError != nil {
				out[i].StdErr += g.restError[i]
			}
		}
	}
	if g != nil { // a flow is regular
		for i := f.whole; i < k; i++ {
			out[i].Bound = true
		}
		return out, nil
	}
	return out, f.judge(ctx, out, o.Steps)
}

// flow moves a state with its tangents.
type flow[T deq.Float] struct {
	*tangents
	layer *deq.Layer[T]
	drive Drive[T]
	step  int
	x, z  []T // of this step
	next  []T
	v, jv []T // [k, n]: the tangents in T
	way   []T // of a cell with kinks: a tangent that tells on which side of one the state comes to it; nil for others
	led   bool

	before, product []float64 // scratch: the tangents before the step, and J times them
}

// newFlow begins at z0, or at a random state, with k random tangents.
func newFlow[T deq.Float](l *deq.Layer[T], drive Drive[T], z0 []T, k int, seed uint64, index ...uint64) (*flow[T], error) {
	n := l.Units
	if z0 != nil && len(z0) != n {
		return nil, fmt.Errorf("stability: initial state of %d numbers: expected %d", len(z0), n)
	}
	rounding := 8 * 0x1p-52
	if _, single := any(T(0)).(float32); single {
		rounding = 8 * 0x1p-23
	}
	f := &flow[T]{
		tangents: newTangents(k, n, rounding, rng.Stream(seed, "stability/tangents", index...)), layer: l, drive: drive,
		x: make([]T, l.Inputs), z: make([]T, n), next: make([]T, n), before: make([]float64, k*n), product: make([]float64, k*n), v: make([]T, k*n), jv: make([]T, k*n),
	}
	if copy(f.z, z0) == 0 {
		r := rng.Stream(seed, "stability/state", index...)
		for i := range f.z {
			f.z[i] = T(r.NormFloat64())
		}
	}
	if l.Kinked() {
		f.way = slices.Clone(f.z) // of the states in between here and 0
	}
	return f, nil
}

// push makes a step of the state, and multiplies the tangents by the Jacobian where it was.
func (f *flow[T]) push() error {
	copy(f.before, f.q)
	if f.drive != nil {
		f.drive(f.step, f.x)
	}
	if f.way != nil {
		f.vanish()
	}
	here, err := f.layer.At(f.x, f.z)
	if err != nil {
		return err
	}
	if err := here.Next(f.next); err != nil {
		return err
	}
	for i, q := range f.q {
		f.v[i] = T(q)
	}
	if err := f.tangent(here, f.way, f.v, f.way, f.jv); err != nil {
		return err
	}
	if err := f.lead(); err != nil {
		return err
	}
	sum := 0.0
	for i, v := range f.jv {
		f.q[i] = float64(v)
		sum += f.q[i]
	}
	for _, v := range f.next {
		sum += float64(v)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return fmt.Errorf("stability: Lyapunov exponents: at step %d %w", f.step, ErrUnbounded)
	}
	f.z, f.next = f.next, f.z
	f.step++
	return nil
}

// orthonormaliseSharply orthonormalises; where vectors are lost it tries again with slopes of saturated units that are
// not rounded to 0.
func (f *flow[T]) orthonormaliseSharply(lost func(i int)) error {
	if err := f.enlarge(); err != nil {
		return err
	}
	copy(f.product, f.q)
	whole, some, shift := f.whole, 0, slices.Clone(f.shift)
	f.orthonormalise(func(int) { some++ })
	if some == 0 {
		return nil
	}
	copy(f.shift, shift)
	sharp, err := f.sharpen()
	if err != nil {
		return err
	}
	f.whole = whole
	if copy(f.q, f.product); sharp != nil {
		copy(f.q, sharp)
		clear(f.shift)
	}
	f.orthonormalise(lost)
	return nil
}

// enlarge multiplies again those tangents that the step has made so small that numbers may underflow, each times a power of 2.
func (f *flow[T]) enlarge() error {
	clear(f.shift)
	small, power := 0x1p-460, 900
	if _, single := any(T(0)).(float32); single {
		small, power = 0x1p-60, 100
	}
	var here *deq.Equilibrium[T]
	for i := range f.k {
		if !(float64(kernels.MaxAbs(f.row(i))) < small) {
			continue
		}
		if here == nil {
			var err error
			if here, err = f.layer.At(f.x, f.next); err != nil { // where the state was
				return err
			}
			if sides, err := here.Sides(0); err != nil || sides.On[0] > 0 {
				return err
			}
		}
		v, jv := make([]T, f.n), make([]T, f.n)
		for c, q := range f.before[i*f.n : (i+1)*f.n] {
			v[c] = T(math.Ldexp(q, power))
		}
		if err := here.JVP(v, jv); err != nil {
			return err
		}
		if wide := widen(jv); kernels.AllFinite(wide) && kernels.MaxAbs(wide) > 0 {
			copy(f.row(i), wide)
			f.shift[i] = float64(power) * math.Ln2
		}
	}
	return nil
}

// sharpen is J times the tangents before the step, for a cell with the one activation tanh or sigmoid, whose slope
// is taken from the pre-activation: 1 − tanh² is 0 in floating point beyond 19. nil for others.
func (f *flow[T]) sharpen() ([]float64, error) {
	activation := f.layer.Activation()
	if activation != "tanh" && activation != "sigmoid" || f.layer.SingleActivation() != nil {
		return nil, nil
	}
	here, err := f.layer.At(f.x, f.next) // where the state was
	if err != nil {
		return nil, err
	}
	pre := make([]T, f.n)
	if err := here.PreActivation(pre); err != nil {
		return nil, err
	}
	alpha := f.layer.LeakRate()
	out := make([]float64, len(f.q))
	for i := range f.k {
		v, own := f.before[i*f.n:(i+1)*f.n], out[i*f.n:(i+1)*f.n]
		narrow(f.v[:f.n], v)
		if err := here.Recurrent(f.v[:f.n], f.jv[:f.n]); err != nil {
			return nil, err
		}
		for u, a := range pre {
			slope := 1.0
			if activation == "tanh" {
				slope, a = 4, 2*a
			}
			e := math.Exp(-math.Abs(float64(a)))
			own[u] = (1-alpha)*v[u] + alpha*slope*e/((1+e)*(1+e))*float64(f.jv[u])
		}
	}
	return out, nil
}

// product writes J v for all rows v [k, units] at an equilibrium of one sample, as many at a
// time as the layer's batch holds.
func product[T deq.Float](e *deq.Equilibrium[T], v, jv []T) error {
	l := e.Layer()
	for first := 0; first < len(v); first += l.Batch() * l.Units {
		last := min(first+l.Batch()*l.Units, len(v))
		same, err := e.Repeat(0, (last-first)/l.Units)
		if err != nil {
			return err
		}
		if err := same.JVP(v[first:last], jv[first:last]); err != nil {
			return err
		}
	}
	return nil
}

// judge tells exponents of −∞ from upper bounds among those whose directions were lost in the steps that were measured.
func (f *flow[T]) judge(ctx context.Context, found []Exponent, steps int) error {
	if f.whole == f.k {
		return nil
	}
	singular := f.way != nil // relu forgets what it cuts off
	if !singular {
		var err error
		if singular, err = f.singular(ctx); err != nil {
			return err
		}
	}
	for i := f.whole; i < f.k; i++ {
		if e := &found[i]; singular || f.n > MaxDense && e.Lost == steps {
			e.Value, e.StdErr = math.Inf(-1), 0
		} else {
			e.Bound = true
		}
	}
	return nil
}

// singular reports whether J is singular wherever the state is. As det J is an analytic function of the state of a
// smooth cell, it is 0 everywhere if it is at a few random states.
func (f *flow[T]) singular(ctx context.Context) (bool, error) {
	if f.n > MaxDense {
		return false, nil
	}
	r := rng.Stream(1, "stability/singular")
	for range 3 {
		z := make([]T, f.n)
		for i := range z {
			z[i] = T(0.1 * r.NormFloat64())
		}
		here, err := f.layer.At(f.x, z)
		if err != nil {
			return false, err
		}
		j, err := Jacobian(ctx, here, 0)
		if err != nil {
			return false, err
		}
		balance(j)
		var svd mat.SVD
		if !svd.Factorize(j, mat.SVDNone) {
			return false, fmt.Errorf("stability: Lyapunov exponents: the singular values of J did not converge")
		}
		values := svd.Values(nil)
		if values[f.n-1] > f.rounding*float64(f.n)*values[0] {
			return false, nil
		}
	}
	return true, nil
}

// balance scales the rows and columns of a matrix by powers of 2, so that the largest entry of each is about 1.
func balance(a *mat.Dense) {
	rows, columns := a.Dims()
	for range 3 {
		for i := range rows {
			scaleToOne(a.RawRowView(i))
		}
		for k := range columns {
			c := mat.Col(nil, k, a)
			scaleToOne(c)
			a.SetCol(k, c)
		}
	}
}

func scaleToOne(v []float64) {
	if _, exp := math.Frexp(kernels.MaxAbs(v)); exp != 0 {
		for i := range v {
			v[i] = math.Ldexp(v[i], -exp)
		}
	}
}

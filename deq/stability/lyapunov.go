package stability

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/stat"
)

// Lyapunov are the options of Exponents.
type Lyapunov struct {
	K      int    `default:"1" doc:"exponents wanted, the largest first; at most there are as many as units"`
	Steps  int    `default:"20000" doc:"steps over which they are averaged"`
	Warmup int    `default:"1000" doc:"steps before those, in which the state comes to the attractor and the tangents turn to their directions"`
	Blocks int    `default:"20" doc:"parts of the steps from whose means the standard error is estimated"`
	Seed   uint64 `doc:"of the initial tangents, and of the initial state from N(0,1) where none is given"`
}

// Validate reports options outside their range.
func (o Lyapunov) Validate() error {
	o = options.WithDefaults(o)
	switch {
	case o.K < 1:
		return fmt.Errorf("k: expected at least 1 exponent, found %d", o.K)
	case o.Warmup < 0 || o.Blocks < 2 || o.Steps < o.Blocks:
		return fmt.Errorf("steps: expected at least one for each of 2 or more blocks and a warmup of at least 0, found %d in %d blocks after %d", o.Steps, o.Blocks, o.Warmup)
	}
	return nil
}

// Drive writes the input of a step, counted from 0 with the warm-up, to x [inputs].
type Drive[T deq.Float] func(step int, x []T)

// Repeating is the drive by a sequence x [steps, inputs], over and over again: of several trials one
// after the other, the state goes on from each to the next.
func Repeating[T deq.Float](x []T) Drive[T] {
	return func(step int, dst []T) {
		copy(dst, x[step*len(dst)%len(x):])
	}
}

// Exponent is a Lyapunov exponent.
type Exponent struct {
	Value float64 // in nats per step
	// StdErr is the standard error of Value as a mean over blocks of steps: it covers what varies from
	// block to block, not a transient that is longer than the warm-up.
	StdErr float64
	// Lost counts the steps at which the direction was not told from those of the larger
	// exponents up to rounding, since J is singular or nearly so: Value is then an upper bound.
	Lost int
}

// Exponents measures the K largest Lyapunov exponents of z_{t+1} = f(z_t, x_t): K orthonormal
// tangents Q go along,
//
//	Q_{t+1} R_{t+1} = J(z_t, x_t) Q_t   (QR decomposition),   λ_i = ⟨log |R_ii|⟩,
//
// with a random Q at first. drive gives the inputs, nil stands for 0: the exponents of a driven network are
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
	k := f.k
	out := make([]Exponent, k)
	sums := make([][]float64, k) // by block
	for i := range sums {
		sums[i] = make([]float64, o.Blocks)
	}
	lengths := make([]float64, o.Blocks)
	for t := range o.Warmup + o.Steps {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stability: Lyapunov exponents: step %d: %w", t, err)
		}
		if err := f.push(); err != nil {
			return nil, err
		}
		var lost func(i int)
		if t >= o.Warmup {
			lost = func(i int) { out[i].Lost++ }
		}
		f.orthonormalise(lost)
		if t < o.Warmup {
			continue
		}
		block := (t - o.Warmup) * o.Blocks / o.Steps
		lengths[block] += float64(o.Blocks) / float64(o.Steps)
		for i := range sums {
			sums[i][block] += math.Log(f.r[i*k+i]) * float64(o.Blocks) / float64(o.Steps)
		}
	}
	for i, s := range sums {
		for b := range s {
			s[b] /= lengths[b]
		}
		var sd float64
		out[i].Value, sd = stat.MeanStdDev(s, lengths)
		out[i].StdErr = stat.StdErr(sd, float64(o.Blocks))
	}
	return out, nil
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
		x: make([]T, l.Inputs), z: make([]T, n), next: make([]T, n), v: make([]T, k*n), jv: make([]T, k*n),
	}
	if copy(f.z, z0) == 0 {
		r := rng.Stream(seed, "stability/state", index...)
		for i := range f.z {
			f.z[i] = T(r.NormFloat64())
		}
	}
	return f, nil
}

// push makes a step of the state, and multiplies the tangents by the Jacobian where it was.
func (f *flow[T]) push() error {
	if f.drive != nil {
		f.drive(f.step, f.x)
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
	if err := product(here, f.v, f.jv); err != nil {
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

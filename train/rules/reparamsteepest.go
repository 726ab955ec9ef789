package rules

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"attractor/deq"
	"attractor/train/kit"
)

// ReparamSteepest is the step of a finite size η of which ReparamGradient is the limit for small
// ones: steepest descent under the distance of two networks' maps from the drive to the fixed
// point. It has to know η, the learning rate: W − ηΔW is its step for the Eta of its options and
// for no other, with plain gradient descent and neither momentum nor clipping.
//
// In the form linear, for a cell Wz + c with the drive c = Ux + b, the map is A = (I − W)⁻¹ and the
// step is exact for the whole batch: A moves along −∇_A L, with ∇_A L = Σ v cᵀ and v = ∂L/∂z*,
//
//	W_new = I − [A − η∇_A L]⁻¹ = W − ηΔW,   ΔW = a (I − ηK)⁻¹ d,   K = cᵀa,
//
// where the columns of a = (I − W)v and of dᵀ = (I − W)ᵀc are the samples (Woodbury's identity):
// no inverse of W is taken, but a system as large as the batch is solved. For a squared error the
// errors of the batch shrink by a fixed factor each, whatever W: z − y ← (z − y)(I − (2η/m)cᵀc).
//
// The form per-sample is this project's own and experimental. Each sample i has a map of its own,
// A = (I − GW)⁻¹ with G = diag φ′ at its z*, whose step is averaged over the batch:
//
//	ΔW = mean over i of aᵢdᵢᵀ/(1 − ηκᵢ),   κᵢ = cᵢᵀaᵢ,
//
// with the a, c and d of ReparamGradient; 1 − ηκᵢ is taken as ½ where it is less, on the way to the
// singular map that a step of a descending loss must not pass. Hence it descends the loss of
// each sample. U and b take the forms of ReparamGradient.
//
// V. Zhu and R. Rosenbaum, Neural Computation 36:1568–1600, 2024, arXiv:2307.06732.
type ReparamSteepest[T deq.Float] struct {
	Eta  float64 `default:"0.1" doc:"learning rate η of the step: give it that of the optimiser; small values tend to reparam-gradient"`
	Form string  `default:"per-sample" doc:"step of each sample's own linear map (experimental), or the exact one of a linear network" choices:"per-sample,linear"`
}

func reparamSteepestEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "reparam-steepest", Value: ReparamSteepest[T]{}, Doc: `steepest descent by finite steps in the geometry of the fixed points

The step of size eta of which reparam-gradient is the limit for small ones. It is a step of plain
gradient descent with that learning rate and no momentum; another one does not know it.
form: linear, for the activation linear, is the paper's exact step W ← I − [(I − W)⁻¹ − η∇L]⁻¹, by a
system as large as the batch. form: per-sample takes it for the linear map at each sample's
fixed point and averages, which is this project's own and experimental.`,
		Refs: []string{zhu2024}}
}

// Validate reports options outside their range.
func (r ReparamSteepest[T]) Validate() error {
	if !(r.Eta >= 0) || math.IsInf(r.Eta, 1) {
		return fmt.Errorf("eta: expected a positive learning rate, found %g", r.Eta)
	}
	return nil
}

// Check implements Rule: the cell must have one activation, which is linear for the form linear.
func (r ReparamSteepest[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := l.SingleActivation(); err != nil {
		return fmt.Errorf("rules: reparam-steepest needs a cell φ(zWᵀ + xUᵀ + b): %w", err)
	}
	if found := l.Activation(); r.Form == "linear" && found != "linear" {
		return fmt.Errorf("rules: reparam-steepest with form: linear needs the activation linear, found %s", found)
	}
	return nil
}

// Exact implements Rule.
func (ReparamSteepest[T]) Exact() bool { return false }

// Audit implements Rule. The form linear solves a system between the samples of a batch.
func (r ReparamSteepest[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, Solve: r.Form == "linear", Memory: "n", Time: "n^2"}
}

// Gradient implements EquilibriumRule.
func (r ReparamSteepest[T]) Gradient(_ context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	f, err := s.factors()
	if err != nil {
		return Report{}, err
	}
	n := s.Layer().Units
	if r.Form == "linear" {
		if err := f.resolve(r.Eta, s.Rows, n); err != nil {
			return Report{}, fmt.Errorf("rules: reparam-steepest: %w", err)
		}
		s.Layer().Account(deq.Reads{Solves: int64(s.Rows)})
		return Report{Bytes: f.bytes}, s.PreVJP(f.d, f.a, g)
	}
	for i := 0; i < len(f.d); i += n {
		kappa := 0.0
		for k, c := range f.c[i : i+n] {
			kappa += float64(c) * float64(f.a[i+k])
		}
		// The sample's own loss is Rows times its part of L, the mean.
		scale := T(1 / math.Max(1-r.Eta*kappa*float64(s.Rows), 0.5))
		for k := range f.d[i : i+n] {
			f.d[i+k] *= scale
		}
	}
	return Report{Bytes: f.bytes}, s.PreVJP(f.d, f.a, g)
}

// resolve replaces d by (I − ηK)⁻¹d, K = c aᵀ [rows, rows], in float64.
func (f *factors[T]) resolve(eta float64, rows, n int) error {
	dense := func(v []T) *mat.Dense { return mat.NewDense(rows, n, wide(v)) } // no copy in float64
	a, c, d := dense(f.a), dense(f.c), dense(f.d)
	var k mat.Dense
	k.Mul(c, a.T())
	k.Apply(func(i, j int, v float64) float64 {
		if i == j {
			return 1 - eta*v
		}
		return -eta * v
	}, &k)
	err := d.Solve(&k, d)
	if condition := mat.Condition(0); errors.As(err, &condition) && !math.IsInf(float64(condition), 1) {
		err = nil // large steps are made of nearly singular systems
	}
	if err != nil {
		return fmt.Errorf("the step of size η = %g leads to no network: %w", eta, err)
	}
	for i, v := range d.RawMatrix().Data {
		f.d[i] = T(v)
	}
	f.bytes += 8 * rows * rows
	if _, is32 := any(T(0)).(float32); is32 {
		f.bytes += 2 * bytesOf(f.a, f.c, f.d)
	}
	return nil
}

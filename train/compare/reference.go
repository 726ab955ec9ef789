package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Wide is the configuration of a comparison in float64, in which exact gradients are computed.
type Wide struct {
	Config train.Config[float64]
	Parts  train.Parts[float64]
}

// reference computes exact gradients in float64 on a layer of its own: by implicit differentiation
// with both solves to rtol 1e-9, or by back-propagation through time where a sample is a
// sequence.
type reference struct {
	*train.Trainer[float64]
	batch tasks.Batch[float64]

	again func() (*train.Trainer[float64], error) // makes the trainer of checker
	lu    *train.Trainer[float64]                 // it; nil until it is needed
}

// gradientRTol is the tolerance of the solves of an exact gradient.
const gradientRTol = 1e-9

func newReference(w Wide, data *tasks.Dataset, seed uint64, trained string) (*reference, error) {
	c := onlooking(w.Config)
	c.Train.Seed, c.Train.Trained = seed, trained
	c.Rule.Name, c.Rule.Value = "implicit", rules.Rule[float64](rules.Implicit[float64]{})
	if data.Steps > 0 {
		c.Rule.Name, c.Rule.Value = "bptt", rules.BPTT[float64]{}
	}
	c.Solver.Name, c.Solver.Value = "anderson", solvers.Method[float64](solvers.Anderson[float64]{})
	c.Forward = solvers.Settings{RTol: gradientRTol, MaxEvals: 500}
	c.Backward, c.Adjoint = c.Solver, c.Forward
	t, err := train.NewOn(c, w.Parts, data)
	if err != nil {
		return nil, fmt.Errorf("compare: exact gradient: %w", err)
	}
	return &reference{Trainer: t, again: func() (*train.Trainer[float64], error) {
		c.Forward.MaxEvals = 2 // at the state, and what confirms a large one
		c.Backward.Name, c.Backward.Value, c.Adjoint = "lu", solvers.Method[float64](solvers.LU[float64]{}), solvers.Settings{RTol: gradientRTol}
		return train.NewOn(c, w.Parts, data)
	}}, nil
}

// mostDense is the largest number of units for which I − J is factored: the limit of solvers.LU.
const mostDense = 512

// checker takes the states that it is given, if they are fixed points, and finds the adjoint by LU.
func (x *reference) checker() (t *train.Trainer[float64], err error) {
	if x.lu == nil {
		if x.lu, err = x.again(); err != nil {
			return nil, fmt.Errorf("compare: exact gradient: %w", err)
		}
	}
	return x.lu, nil
}

// onlooking leaves out of a configuration what is not the gradient of the task's loss.
func onlooking[T deq.Float](c train.Config[T]) train.Config[T] {
	c.Regularizer = train.Regularizer{}
	c.Train.Workers, c.Train.Holdout, c.Train.Certificate = 1, false, 0
	c.Train.WarmStart, c.Train.Stability, c.Train.Unconverged = "off", "off", "continue"
	return c
}

// exactGradient is the exact gradient of those samples of a batch that have one.
type exactGradient struct {
	train.Step[float64]         // of these samples, if there are any
	rows                []int   // they, of the training data
	missing             int     // samples without one
	unstable            int     // fixed points, among those found, that iterating the cell leaves: the spectral radius is above 1
	radius              float64 // largest spectral radius at the states first found, of all samples; NaN for sequences
}

// gradientOf computes the exact gradient at the parameters and masks of a layer, for the samples
// rows of the training data, at the fixed points of the states guess where a rule's own solves ended (nil: from 0).
//
// A state belongs to the fixed point that Anderson's method finds from it, where that is near, and else to the one that
// Newton's leads to (approach); where the adjoint is not found by Anderson's method, LU is used. A sample that has no
// fixed point then, or at which I − J is singular, has no exact gradient: it is left out.
func gradientOf[T deq.Float](ctx context.Context, x *reference, l *deq.Layer[T], rows []int, guess []float64) (found exactGradient, err error) {
	if err := x.Layer.Update(func(params deq.Params[float64]) error {
		for i, p := range l.Params {
			for k, v := range p.Data {
				params[i].Data[k] = float64(v)
			}
		}
		return nil
	}); err != nil {
		return found, fmt.Errorf("compare: exact gradient: %w", err)
	}
	var radii []float64
	found.radius = math.NaN()
	by, z := x.Trainer, guess
	for first := true; len(rows) > 0; first = false {
		deq.CopyMasks(by.Layer, l)
		x.batch.Gather(x.Data.Train, rows)
		s, err := by.Look(ctx, x.Layer.Params, &x.batch, z)
		if err != nil {
			return found, fmt.Errorf("compare: exact gradient: %w", err)
		}
		if s.Equilibrium != nil && (first || by != x.Trainer) {
			if radii, err = stability.Radius(s.Equilibrium, 40, 0); err != nil {
				return found, fmt.Errorf("compare: spectral radius: %w", err)
			}
			if first {
				found.radius = slices.Max(radii)
			}
		}
		lost, moved := s.Report.FailedSamples(), false
		z = slices.Clone(s.Z)
		if first && s.Equilibrium != nil && len(guess) == len(z) && x.Layer.Units <= mostDense {
			if moved, err = x.settle(ctx, s, lost, guess, z); err != nil {
				return found, err
			}
		}
		if moved {
			if by, err = x.checker(); err != nil {
				return found, err
			}
		}
		if len(lost) == 0 && !moved {
			found.Step, found.rows = s, rows
			break
		}
		found.missing += len(lost)
		rows, z, radii = without(rows, lost, 1), without(z, lost, x.Layer.Units), without(radii, lost, 1)
	}
	for _, r := range radii {
		found.unstable += boolInt(r > 1)
	}
	return found, nil
}

// beside is how far, relative to its length, a state may be from the fixed point that Anderson's method finds from it to
// belong to it without further ado.
const beside = 1e-2

// settle says of each sample of a step whether the state z that was found belongs to the guess. It puts into z the fixed
// points that Newton's method leads to from the guess where Anderson's has found none, or one that is not near, and
// adds to the lost those where Newton's finds none either; it takes from them those that lack no more than an
// adjoint. It reports whether there is something to be found by LU then.
func (x *reference) settle(ctx context.Context, s train.Step[float64], lost map[int]bool, guess, z []float64) (moved bool, err error) {
	units, from := x.Layer.Units, slices.Clone(z)
	var open []int
	for b := range s.Equilibrium.Rows {
		own, at := guess[b*units:(b+1)*units], z[b*units:(b+1)*units]
		found := s.Equilibrium.Report.Status[b] == solvers.Converged
		if found && floats.Distance(own, at, 2) <= beside*floats.Norm(at, 2) {
			moved = moved || lost[b]
			delete(lost, b)
			continue
		}
		lost[b] = true
		open = append(open, b)
		copy(from[b*units:], own)
	}
	reached, err := approach(ctx, x.Layer, s.Equilibrium.X, from, open)
	if err != nil {
		return false, fmt.Errorf("compare: exact gradient: %w", err)
	}
	for _, b := range reached {
		moved = true
		delete(lost, b)
		copy(z[b*units:(b+1)*units], from[b*units:])
	}
	return moved, nil
}

// approach moves those states z [rows, units] that are open to the fixed points that they are near to, and tells which
// it has reached. Newton's steps s, (I − J)s = f(z) − z, have to halve in length from one to the next: the limit is then
// within twice the first step, and what is only far away, or gone as where two fixed points have met, is not found.
//
// P. Deuflhard, Newton Methods for Nonlinear Problems (2011), doi:10.1007/978-3-642-23899-4, section 2.1.
func approach(ctx context.Context, l *deq.Layer[float64], x, z []float64, open []int) (reached []int, err error) {
	const steps = 40 // more than a step can halve before it is within the tolerance
	n := l.Units
	fz, last := make([]float64, len(z)), map[int]float64{}
	for range steps {
		if len(open) == 0 {
			break
		}
		e, err := l.At(x, z)
		if err != nil {
			return nil, err
		}
		if err := e.Next(fz); err != nil {
			return nil, err
		}
		var still []int
		for _, b := range open {
			j, err := stability.Jacobian(ctx, e, b)
			if ctx.Err() != nil {
				return nil, err
			}
			if err != nil { // not finite
				continue
			}
			j.Scale(-1, j)
			for i := range n {
				j.Set(i, i, 1+j.At(i, i))
			}
			at := mat.NewVecDense(n, z[b*n:(b+1)*n])
			var lu mat.LU
			var step mat.VecDense
			step.SubVec(mat.NewVecDense(n, fz[b*n:(b+1)*n]), at)
			lu.Factorize(j)
			if err := lu.SolveVecTo(&step, false, &step); err != nil { // singular to rounding
				continue
			}
			length := step.Norm(2)
			if before, later := last[b]; !(length <= before/2) && later || !finite(length) {
				continue
			}
			last[b] = length
			at.AddVec(at, &step)
			if length <= gradientRTol*at.Norm(2) {
				reached = append(reached, b)
			} else {
				still = append(still, b)
			}
		}
		open = still
	}
	return reached, nil
}

// widen converts states; there are none where v is empty.
func widen[T deq.Float](v []T) []float64 {
	var out []float64
	for _, x := range v {
		out = append(out, float64(x))
	}
	return out
}

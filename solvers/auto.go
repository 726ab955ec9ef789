package solvers

import (
	"errors"
	"fmt"

	"attractor/train/kit"
)

// Auto is a polyalgorithm: every sample begins with a few Picard steps and goes on to
// Anderson acceleration, from there to Broyden's method and from there to Newton–GMRES,
// each time that no new best by 10 % was found in Patience evaluations or that its
// residual grew to Growth times the best. The next method starts from the sample's best
// iterate. Hand-overs and their reasons are in the report.
//
// It holds the memory of all four methods.
type Auto[T Float] struct {
	Warmup   int     `default:"3" doc:"Picard steps at first" max:"1e9: no solve takes more evaluations"`
	Patience int     `default:"15" doc:"evaluations without a new best by 10 % before the next method" max:"1e9: no solve takes more evaluations"`
	Growth   float64 `key:"handover_growth" default:"100" doc:"growth of the residual over the best before the next method"`
	Window   int     `default:"12" doc:"window of Anderson's method" max:"1e4: the residuals of so many are all but linearly dependent"`
	Memory   int     `default:"27" doc:"pairs of Broyden's method" max:"1e5: every pair is kept"`
	Restart  int     `default:"30" doc:"products per Newton step at most" max:"1e5: every direction is kept"`
}

// Start implements Method.
func (m Auto[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	switch {
	case m.Warmup < 1:
		return nil, fmt.Errorf("solvers: Auto.Warmup: expected at least 1, found %d", m.Warmup)
	case m.Patience < 1:
		return nil, fmt.Errorf("solvers: Auto.Patience: expected at least 1, found %d", m.Patience)
	case !(m.Growth > 1):
		return nil, fmt.Errorf("solvers: Auto.Growth: expected a factor above 1, found %v", m.Growth)
	}
	a := &auto[T]{
		Auto: m, stage: make([]int, s.Batch), entered: make([]int, s.Batch),
		least: make([]float64, s.Batch), mark: make([]float64, s.Batch), markEvals: make([]int, s.Batch),
	}
	var errs []error
	for i, method := range []Method[T]{
		Picard[T]{}, Anderson[T]{Window: m.Window}, Broyden[T]{Memory: m.Memory}, NewtonGMRES[T]{Restart: m.Restart},
	} {
		var err error
		a.steppers[i], err = method.Start(s)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("solvers: Auto: %w", err)
	}
	return a, nil
}

const autoStages = 4

var autoNames = [autoStages]string{"picard", "anderson", "broyden", "newton-gmres"}

type auto[T Float] struct {
	Auto[T]
	steppers [autoStages]Stepper[T]
	sub      Iterate[T]

	// by sample
	stage, entered []int     // the stage, and the step at which it was entered
	least, mark    []float64 // ‖g‖ within the stage: the least, and at the last new best by 10 %
	markEvals      []int     // evaluations left at that
}

func (a *auto[T]) Reset() {
	for _, s := range a.steppers {
		s.Reset()
	}
	clear(a.stage)
}

func (a *auto[T]) Bytes() int {
	sum := 8 * 5 * len(a.stage)
	for _, s := range a.steppers {
		sum += s.Bytes()
	}
	return sum
}

func (a *auto[T]) Step(it *Iterate[T]) error {
	for i, b := range it.Rows {
		if it.K == 0 {
			a.enter(it, i, 0)
		}
		if reason := a.verdict(it, i); reason != 0 {
			next := a.stage[b] + 1
			it.HandOver(i, autoNames[next-1], autoNames[next], reason)
			if reason != WarmedUp {
				it.restore(i)
			}
			a.enter(it, i, next)
		}
	}
	for lo := 0; lo < len(it.Rows); {
		hi, stage := lo+1, a.stage[it.Rows[lo]]
		for hi < len(it.Rows) && a.stage[it.Rows[hi]] == stage {
			hi++
		}
		a.sub = it.rowsFrom(lo, hi)
		if err := a.steppers[stage].Step(&a.sub); err != nil {
			return fmt.Errorf("%s: %w", autoNames[stage], err)
		}
		lo = hi
	}
	return nil
}

func (a *auto[T]) enter(it *Iterate[T], i, stage int) {
	b, g := it.Rows[i], it.GNorm[i]
	a.stage[b], a.entered[b] = stage, it.K
	a.least[b], a.mark[b], a.markEvals[b] = g, g, it.Left(i)
}

// verdict is the reason to hand the sample of row i over, 0 for none.
func (a *auto[T]) verdict(it *Iterate[T], i int) Reason {
	b, g := it.Rows[i], it.GNorm[i]
	if a.stage[b] == autoStages-1 {
		return 0
	}
	if g < 0.9*a.mark[b] {
		a.mark[b], a.markEvals[b] = g, it.Left(i)
	}
	a.least[b] = min(a.least[b], g)
	switch {
	case g > a.Growth*a.least[b]:
		return Growing
	case a.stage[b] == 0 && it.K-a.entered[b] >= a.Warmup:
		return WarmedUp
	case a.markEvals[b]-it.Left(i) >= a.Patience:
		return Slow
	}
	return 0
}

// restore puts row i of the iterate back to the best so far.
func (it *Iterate[T]) restore(i int) {
	n := it.run.dim
	z, fz := it.Best(i)
	copy(it.Z[i*n:(i+1)*n], z)
	copy(it.FZ[i*n:(i+1)*n], fz)
	g, f := norms(fz, z)
	it.GNorm[i] = g
	if it.run.settings.Norm == "max" {
		g, f = maxNorms(fz, z)
	}
	it.R[i], _ = it.run.settings.measure(g, f)
}

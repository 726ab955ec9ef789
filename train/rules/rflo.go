package rules

import (
	"context"

	"attractor/deq"
)

// RFLO is random-feedback local online learning. For a cell z⁺ = (1−α)z + αφ(u) with u = zWᵀ + xUᵀ + b,
// and fixed random feedback weights B,
//
//	p_ij(t) = (1−α) p_ij(t−1) + α φ′(u_i) z_j(t−1),   ΔW_ij = Σ_t (∂L/∂y_t B)_i p_ij(t).
//
// It is EProp with the feedback random, whatever the cell; with feedback symmetric the two are the same.
//
// J. M. Murray, eLife 8:e43299, 2019, doi:10.7554/eLife.43299.
type RFLO[T deq.Float] struct {
	Steps int `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Tracing
}

func rfloEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "rflo", Value: RFLO[T]{}, Doc: `random-feedback local online learning

Every synapse keeps a trace p_ij = (1−α)p_ij + αφ′(u_i)z_j and learns by the trace times the output's error,
taken back by fixed random weights: ΔW_ij = Σ_t (∂L/∂y_t B)_i p_ij(t). Other cells have their own decay in
place of the leak α.`,
		Refs: []string{`@article{murray2019local,
  title   = {Local Online Learning in Recurrent Networks with Random Feedback},
  author  = {Murray, James M.},
  journal = {eLife},
  volume  = {8},
  pages   = {e43299},
  year    = {2019},
  doi     = {10.7554/eLife.43299}
}`}}
}

// eprop is the same rule under its other name.
func (r RFLO[T]) eprop() EProp[T] {
	return EProp[T]{Local[T]{Steps: r.Steps, Feedback: "random"}, r.Tracing}
}

// Validate reports options outside their range.
func (r RFLO[T]) Validate() error { return r.eprop().Validate() }

// Check implements Rule, as EProp does.
func (r RFLO[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return checkTraces(r.Tracing, "rflo", l)
}

// Exact implements Rule.
func (RFLO[T]) Exact() bool { return false }

// Audit implements Rule.
func (r RFLO[T]) Audit() Audit { return r.eprop().Audit() }

// Horizon implements TemporalRule.
func (r RFLO[T]) Horizon() int { return r.eprop().Horizon() }

// Parameters implements Parametric: the feedback weights.
func (r RFLO[T]) Parameters(l *deq.Layer[T]) []Parameter { return r.eprop().Parameters(l) }

// Gradient implements TemporalRule.
func (r RFLO[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	return r.eprop().Gradient(ctx, p, g)
}

package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// TBPTT is truncated back-propagation through time, BPTT(h; h′) of Williams & Peng 1990
// (doi:10.1162/neco.1990.2.4.490): after every h′ steps (the stride) the losses of these steps go
// back h steps (the window) together, and no further. With h = T it is BPTT to the last bit; with
// h′ = 1 each loss goes back all h steps, at T·h products with Jᵀ; with h′ = h, the default, at T.
type TBPTT[T deq.Float] struct {
	Steps  int `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Window int `default:"10" doc:"steps h that losses go back" max:"1e6: no relaxation or trial has more steps"`
	Stride int `doc:"steps h′ whose losses go back together, at most the window; 0 is the window" max:"1e6: no relaxation or trial has more steps"`
}

func tbpttEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "tbptt", Value: TBPTT[T]{}, Doc: `back-propagation through time, truncated to a window

After every h′ steps (stride) the losses of these steps are propagated back h steps (window): credit for
what lies further back is lost. As long as the trials, the window makes it bptt; a stride of 1 takes every
loss back the whole window, at that many times the products. All states are kept.`,
		Refs: []string{`@article{williams1990efficient,
  title   = {An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network Trajectories},
  author  = {Williams, Ronald J. and Peng, Jing},
  journal = {Neural Computation},
  volume  = {2},
  number  = {4},
  pages   = {490--501},
  year    = {1990},
  doi     = {10.1162/neco.1990.2.4.490}
}`}}
}

// Validate reports options outside their range.
func (r TBPTT[T]) Validate() error {
	if r.Steps < 0 || r.Window < 0 {
		return fmt.Errorf("steps and window: expected at least 1, found %d and %d", r.Steps, r.Window)
	}
	if window := kit.WithDefaults(r).Window; r.Stride < 0 || r.Stride > window {
		return fmt.Errorf("stride: expected 0 to the window of %d, found %d", window, r.Stride)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r TBPTT[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (TBPTT[T]) Exact() bool { return false }

// Audit implements Rule.
func (TBPTT[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, StoredStates: true, Memory: "T n", Time: "T n^2"}
}

// Horizon implements TemporalRule.
func (r TBPTT[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// Gradient implements TemporalRule.
func (r TBPTT[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	stride := r.Stride
	if stride == 0 {
		stride = r.Window
	}
	for first := 1; first <= p.Steps; first += stride {
		last := min(first+stride-1, p.Steps)
		some := make(deq.Outputs[T], len(p.Outputs))
		copy(some[first:last+1], p.Outputs[first:])
		if err := p.VJP(ctx, deq.Back[T]{Outputs: some, Stop: max(0, last-r.Window)}, g); err != nil {
			return Report{}, err
		}
	}
	return Report{Bytes: p.Bytes() + p.Outputs.Bytes()}, nil
}

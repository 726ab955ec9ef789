package solvers

import (
	"fmt"

	"attractor/train/kit"
)

// Newton is Newton's method with the Jacobian assembled from its products with the n unit
// vectors and factored by LU in float64, sample by sample:
//
//	(I − J) s = g,  z ← z + t s,  t = 1, ½, ¼, … until ‖g‖ falls (Armijo).
//
// It converges quadratically and costs n + 1 evaluations and n³/3 multiplications a step:
// an oracle for small problems. Products come from JVP, else VJP, else differences of f.
// A singular I − J gives the sample up.
type Newton[T Float] struct {
	MaxDim int `default:"512" doc:"largest dimension accepted" max:"1e5: a Jacobian of every sample is kept"`
}

// Start implements Method.
func (m Newton[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if s.Dim > m.MaxDim {
		return nil, fmt.Errorf("solvers: Newton.MaxDim: expected a problem of at most %d dimensions, found %d", m.MaxDim, s.Dim)
	}
	d := newDense[T](s, false)
	return &newton[T]{dense: d, search: newSearch[T](s)}, nil
}

func (Newton[T]) defaultMaxEvals(dim int) int { return denseEvals(dim) }

type newton[T Float] struct {
	*dense[T]
	search search[T]
}

func (w *newton[T]) Reset()     {}
func (w *newton[T]) Bytes() int { return w.dense.bytes() + w.search.bytes() }

func (w *newton[T]) Step(it *Iterate[T]) error {
	ok, err := w.directions(it)
	if err != nil {
		return err
	}
	return w.search.run(it, ok, w.s, nil)
}

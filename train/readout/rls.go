package readout

import (
	"fmt"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// RLS is recursive least squares: it keeps P = (αI + Σ r rᵀ)⁻¹ over the rates r it has seen. From
// w = 0, after any number of samples w is what Ridge returns for them with the same α.
//
// S. Haykin, Adaptive Filter Theory, 4th edition, 2002; in networks that run on what they
// have just learned, D. Sussillo and L. F. Abbott, Neuron 63 (2009) 544–557,
// doi:10.1016/j.neuron.2009.07.018.
type RLS struct {
	units int
	p     []float64 // [units, units], symmetric
	pr, k []float64
}

// NewRLS starts with P = I/α. It holds units² numbers.
func NewRLS(units int, alpha float64) (*RLS, error) {
	if units < 1 || !(alpha > 0) || 1/alpha-1/alpha != 0 {
		return nil, fmt.Errorf("readout: recursive least squares of %d units with α = %g: expected a positive number of both", units, alpha)
	}
	s := &RLS{units: units, p: make([]float64, units*units), pr: make([]float64, units), k: make([]float64, units)}
	for i := range units {
		s.p[i*units+i] = 1 / alpha
	}
	return s, nil
}

// ResumeRLS goes on from the gram = αI + Σ r rᵀ [units, units] of what was seen before, with P = gram⁻¹. A gram that
// is not positive definite is an error.
func ResumeRLS(units int, gram []float64) (*RLS, error) {
	if units < 1 || len(gram) != units*units || !kernels.AllFinite(gram) {
		return nil, fmt.Errorf("readout: recursive least squares of %d units from %d numbers: expected %d, all finite", units, len(gram), units*units)
	}
	var f mat.Cholesky
	if !f.Factorize(mat.NewSymDense(units, append([]float64(nil), gram...))) {
		return nil, fmt.Errorf("readout: recursive least squares: the matrix αI + Σ r rᵀ of %d units is not positive definite: a larger α, or float64, makes it so", units)
	}
	var p mat.SymDense
	if err := f.InverseTo(&p); err != nil {
		return nil, fmt.Errorf("readout: recursive least squares: %w; a larger α makes the problem regular", err)
	}
	s := &RLS{units: units, p: make([]float64, units*units), pr: make([]float64, units), k: make([]float64, units)}
	mat.NewDense(units, units, s.p).Copy(&p)
	return s, nil
}

// Update changes the weights w [outputs, units] for rates r [units] at which the outputs y = w r were off by
// e = y − target [outputs]:
//
//	k = Pr/(1 + rᵀPr),   w ← w − e kᵀ,   P ← P − k(Pr)ᵀ
//
// It costs some 4 units² operations, whatever the number of outputs, which share P.
func (s *RLS) Update(w, r, e []float64) {
	n := s.units
	if len(r) != n || len(w) != len(e)*n {
		panic(fmt.Sprintf("readout: update of %d weights for %d rates and %d outputs of %d units", len(w), len(r), len(e), n))
	}
	kernels.Dots(s.pr, r, s.p, n)
	kernels.Scale(s.k, 1/(1+kernels.Dot(r, s.pr)), s.pr)
	for o, v := range e {
		kernels.Axpy(-v, s.k, w[o*n:(o+1)*n])
	}
	for i, v := range s.k {
		kernels.Axpy(-v, s.pr, s.p[i*n:(i+1)*n])
	}
}

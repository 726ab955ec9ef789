package solvers_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"attractor/solvers"
)

// Differences of f in place of products do as well for linear methods, also where their directions are as short as a
// small residual.
func TestLinearByDifferences(t *testing.T) {
	t.Run("float64", linearByDifferences[float64])
	t.Run("float32", linearByDifferences[float32])
}

func linearByDifferences[T solvers.Float](t *testing.T) {
	for _, method := range []solvers.Method[T]{solvers.BiCGStab[T]{}, solvers.GMRES[T]{}, solvers.LU[T]{}} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 4))
			m := newNetMap[T](r, 1+r.IntN(12), "identity", math.Pow(10, 8*r.Float64()-4), 0.5+0.45*r.Float64(), false)
			p := m.problem()
			_, want := solve(t, p, method, solvers.Settings{MaxEvals: 1000})
			p.Linearise, p.JVP = nil, nil
			z, rep := solve(t, p, method, solvers.Settings{MaxEvals: 1000})
			if want.Err() != nil || rep.Err() != nil || rep.Evals[0] > 2*want.Evals[0]+10 {
				g, f := m.residual(z)
				t.Errorf("seed %d, %T of %d numbers: %v after %d evaluations, ‖g‖ = %g at ‖f‖ = %g; with products %v after %d",
					seed, method, m.n, rep.Err(), rep.Evals[0], g, f, want.Err(), want.Evals[0])
			}
		}
	}
}

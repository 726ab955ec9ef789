package solvers_test

import (
	"context"
	"fmt"
	"math"

	"attractor/solvers"
)

func ExampleSolve() {
	// Two samples of one number each: z = cos(cz) for c = 1 and c = 0.5.
	c := []float64{1, 0.5}
	p := solvers.Problem[float64]{Batch: 2, Dim: 1, F: func(rows []int, z, fz []float64) error {
		for i, b := range rows {
			fz[i] = math.Cos(c[b] * z[i])
		}
		return nil
	}}
	z := make([]float64, 2)
	rep, err := solvers.Solve(context.Background(), p, z, solvers.Anderson[float64]{}, solvers.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for b, s := range rep.Status {
		fmt.Printf("%.6f %v after %d evaluations\n", z[b], s, rep.Evals[b])
	}
	// Output:
	// 0.739085 converged after 8 evaluations
	// 0.900367 converged after 7 evaluations
}

// The adjoint (I − Jᵀ)u = ℓ of an equilibrium is the fixed point of u = ℓ + Jᵀu.
func ExampleGMRES() {
	l := []float64{1, 0}
	p := solvers.Problem[float64]{Batch: 1, Dim: 2,
		F: func(_ []int, u, fu []float64) error {
			fu[0], fu[1] = l[0]+0.5*u[1], l[1]-0.5*u[0]
			return nil
		},
		JVP: func(_ []int, v, jv []float64) error {
			jv[0], jv[1] = 0.5*v[1], -0.5*v[0]
			return nil
		},
	}
	u := []float64{1, 0} // start at ℓ
	rep, err := solvers.Solve(context.Background(), p, u, solvers.GMRES[float64]{}, solvers.Settings{})
	fmt.Printf("%.3f %v %v %v\n", u, rep.Status[0], rep.Evals[0], err)
	// Output: [0.800 -0.400] converged 4 <nil>
}

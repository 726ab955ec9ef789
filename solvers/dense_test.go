package solvers

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Systems solved side by side: each is solved, whatever the others are, and an indefinite
// one is told.
func TestSolveTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for k := 1; k <= 9; k++ {
		// A = QQᵀ/k + 0.01 I
		a := make([][]float64, k)
		b := make([]float64, k)
		q := make([]float64, k*k)
		for i := range q {
			q[i] = rng.NormFloat64()
		}
		for i := range a {
			a[i] = make([]float64, k)
			b[i] = rng.NormFloat64()
			for j := range k {
				for p := range k {
					a[i][j] += q[i*k+p] * q[j*k+p] / float64(k)
				}
			}
			a[i][i] += 0.01
		}
		system := func(others float64) ([]together, [lockstep]bool) {
			s := make([]together, triangle(k+1))
			for i := range k {
				for j := range i + 1 {
					s[triangle(i)+j] = together{others, a[i][j], a[i][j], others * a[i][j]}
				}
				s[triangle(k)+i] = together{1, b[i], b[i], b[i]}
			}
			s[triangle(k)-1][2] = -10 // the last on the diagonal
			regular := solveTogether(s, k)
			return s[triangle(k):][:k], regular
		}
		x, regular := system(1)
		if !regular[1] || regular[2] || !regular[3] {
			t.Errorf("k=%d: regular %v", k, regular)
		}
		for i := range k {
			r := -b[i]
			for j := range k {
				r += a[i][j] * x[j][1]
			}
			if math.Abs(r) > 1e-12 {
				t.Errorf("k=%d: residual %v of equation %d", k, r, i)
			}
		}
		again, regular := system(math.NaN())
		if regular[0] || regular[3] {
			t.Errorf("k=%d: NaN is called positive definite", k)
		}
		for i := range k {
			if again[i][1] != x[i][1] {
				t.Errorf("k=%d: unknown %d is %v beside other systems, %v", k, i, again[i][1], x[i][1])
			}
		}
	}
}

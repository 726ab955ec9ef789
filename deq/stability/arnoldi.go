package stability

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/lapack"
	lapackgo "gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"
)

// Arnoldi are the options of Leading and Norm. The Krylov space is restarted by the
// Krylov–Schur method: its Schur vectors nearest to what is wanted are kept.
//
// G. W. Stewart, SIAM J. Matrix Anal. Appl. 23 (2002) 601–614, doi:10.1137/S0895479800371529.
type Arnoldi struct {
	K        int     `default:"6" doc:"eigenvalues wanted; of a complex pair always both are found"`
	Basis    int     `doc:"vectors of the Krylov basis (default: the larger of 20 and 2K + 2)"`
	Restarts int     `default:"100" doc:"restarts at most"`
	Tol      float64 `doc:"largest ‖Jx − λx‖, relative to |λ| (default 1e-10 in float64, 1e-5 in float32)"`
	Order    string  `default:"modulus" doc:"what is wanted: the largest modulus or the largest real part" choices:"modulus,real"`
	Left     bool    `doc:"left vectors, xᴴJ = λxᴴ, from products with Jᵀ"`
	Seed     uint64  `doc:"of the starting vectors"`
}

// Eigen are leading eigenvalues of the Jacobian of one sample.
type Eigen struct {
	Values   []complex128   // the K wanted first ones, or K + 1 where that splits a pair
	Vectors  [][]complex128 // of unit length, by value
	Residual []float64      // ‖Jx − λx‖, by value
	Products int            // with J or Jᵀ
	// Converged says that all residuals meet the tolerance. If not they still bound how far
	// each value is from an eigenvalue of a nearby matrix.
	Converged bool

	tol float64
}

// good are the values that meet the tolerance.
func (e Eigen) good() []complex128 {
	if e.Converged {
		return e.Values
	}
	var values []complex128
	for i, v := range e.Values {
		if e.Residual[i] <= e.tol*cmplx.Abs(v) {
			values = append(values, v)
		}
	}
	return values
}

// Leading finds the K eigenvalues of J at z* that are largest in modulus or in real part, of
// every sample, by products with J (left vectors: Jᵀ) alone.
func Leading[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], a Arnoldi) ([]Eigen, error) {
	product := e.JVP
	if a.Left {
		product = e.ApplyJT
	}
	out, err := leading(ctx, e.Rows, e.Layer().Units, product, a)
	if a.Left {
		for _, l := range out {
			for i := range l.Values { // Jᵀx = λx is x̄ᴴJ = λx̄ᴴ
				for k, x := range l.Vectors[i] {
					l.Vectors[i][k] = cmplx.Conj(x)
				}
			}
		}
	}
	return out, err
}

// Norm finds ‖J‖₂ of every sample, the root of the largest eigenvalue of JᵀJ. K, Order and
// Left are not used.
func Norm[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], a Arnoldi) ([]float64, error) {
	jv := make([]T, e.Rows*e.Layer().Units)
	a.K, a.Order = 1, "real"
	out, err := leading(ctx, e.Rows, e.Layer().Units, func(v, jtjv []T) error {
		if err := e.JVP(v, jv); err != nil {
			return err
		}
		return e.ApplyJT(jv, jtjv)
	}, a)
	norms := make([]float64, len(out))
	for b, l := range out {
		norms[b] = math.Sqrt(max(0, real(l.Values[0])))
		if err == nil && !l.Converged {
			err = fmt.Errorf("stability: sample %d: the norm is not found to the tolerance in %d products: found %g", b, l.Products, norms[b])
		}
	}
	return norms, err
}

// leading runs one Krylov space a sample; a product is for all samples at a time.
func leading[T deq.Float](ctx context.Context, rows, n int, product func(in, out []T) error, a Arnoldi) ([]Eigen, error) {
	a = options.WithDefaults(a)
	if a.Tol == 0 {
		a.Tol = 1e-10
		if _, single := any(T(0)).(float32); single {
			a.Tol = 1e-5
		}
	}
	a.K = min(a.K, n)
	if a.Basis == 0 {
		a.Basis = max(20, 2*a.K+2)
	}
	a.Basis = min(a.Basis, n)
	switch {
	case a.K < 1 || a.Restarts < 0:
		return nil, fmt.Errorf("stability: %d eigenvalues in %d restarts: expected at least 1 and 0", a.K, a.Restarts)
	case a.Order != "modulus" && a.Order != "real":
		return nil, fmt.Errorf("stability: order %q: expected modulus or real", a.Order)
	case a.Basis < n && a.Basis < a.K+3:
		return nil, fmt.Errorf("stability: a basis of %d vectors for %d eigenvalues: expected at least %d", a.Basis, a.K, a.K+3)
	case !(a.Tol > 0):
		return nil, fmt.Errorf("stability: tolerance %g: expected a positive number", a.Tol)
	}
	spaces := make([]*krylov, rows)
	for b := range spaces {
		spaces[b] = newKrylov(n, a, rng.Stream(a.Seed, "stability/arnoldi"))
	}
	in, out := make([]T, rows*n), make([]T, rows*n)
	w := make([]float64, n)
	for left := rows; left > 0; {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stability: eigenvalues: %w", err)
		}
		for b, s := range spaces {
			for i, x := range s.next() {
				in[b*n+i] = T(x)
			}
		}
		if err := product(in, out); err != nil {
			return nil, err
		}
		for b, s := range spaces {
			if s.done {
				continue
			}
			for i := range w {
				w[i] = float64(out[b*n+i])
			}
			if err := s.extend(w); err != nil {
				return nil, fmt.Errorf("stability: sample %d: %w", b, err)
			}
			if s.done {
				left--
			}
		}
	}
	found := make([]Eigen, rows)
	for b, s := range spaces {
		found[b] = s.found
	}
	return found, nil
}

// krylov is a Krylov decomposition A V = V H + v β, in which V has size orthonormal columns and
// v is the next one. H is full in its leading block, from a restart, and Hessenberg after it.
type krylov struct {
	Arnoldi
	n, size  int
	v        [][]float64 // [Basis + 1][n]
	h        []float64   // [Basis, Basis]
	beta     []float64   // [Basis]: the row of H under its last
	random   *rand.Rand
	restarts int
	products int
	done     bool
	found    Eigen
}

func newKrylov(n int, a Arnoldi, random *rand.Rand) *krylov {
	s := &krylov{Arnoldi: a, n: n, random: random, h: make([]float64, a.Basis*a.Basis), beta: make([]float64, a.Basis)}
	s.v = make([][]float64, a.Basis+1)
	for i := range s.v {
		s.v[i] = make([]float64, n)
	}
	s.draw(0)
	return s
}

// next is the vector that is to be multiplied.
func (s *krylov) next() []float64 { return s.v[min(s.size, s.Basis-1)] }

// draw sets v[k] to a random unit vector orthogonal to those before it.
func (s *krylov) draw(k int) {
	for i := range s.v[k] {
		s.v[k][i] = s.random.NormFloat64()
	}
	for range 2 {
		for _, q := range s.v[:k] {
			floats.AddScaled(s.v[k], -floats.Dot(q, s.v[k]), q)
		}
	}
	floats.Scale(1/floats.Norm(s.v[k], 2), s.v[k])
}

// extend takes w = A next, which it overwrites.
func (s *krylov) extend(w []float64) error {
	m, k := s.Basis, s.size
	s.products++
	before := floats.Norm(w, 2)
	if math.IsNaN(before) || math.IsInf(before, 0) {
		return fmt.Errorf("a product with the Jacobian is %v", before)
	}
	copy(s.h[k*m:k*m+k], s.beta[:k]) // v was under H and is now its last column
	clear(s.beta)
	for range 2 { // once more, against rounding
		for i, q := range s.v[:k+1] {
			c := floats.Dot(q, w)
			s.h[i*m+k] += c
			floats.AddScaled(w, -c, q)
		}
	}
	s.size++
	norm := floats.Norm(w, 2)
	const eps = 0x1p-52
	switch {
	case norm > 8*eps*before:
		s.beta[k] = norm
		floats.ScaleTo(s.v[k+1], 1/norm, w)
	case s.size < m: // the space is invariant: go on in another
		s.draw(k + 1)
	}
	if s.size < m {
		return nil
	}
	return s.restart()
}

// restart takes the wanted part of the space, and ends the run when it is good enough.
func (s *krylov) restart() error {
	m := s.Basis
	t, q, err := schur(m, s.h)
	if err != nil {
		return err
	}
	wanted := s.order(t, q, s.K)
	b := make([]float64, m) // A (VQ) = (VQ) T + v b
	for i, x := range s.beta {
		floats.AddScaled(b, x, q[i*m:(i+1)*m])
	}
	vectors, err := s.ritz(t, b, wanted)
	if err != nil {
		return err
	}
	if s.found.Converged || s.restarts == s.Restarts {
		s.expand(vectors, q)
		s.done = true
		return nil
	}
	s.restarts++
	keep := s.order(t, q, max(wanted, min(m/2, m-2)))
	clear(b)
	for i, x := range s.beta {
		floats.AddScaled(b, x, q[i*m:(i+1)*m])
	}
	basis := make([][]float64, keep, m+1)
	for j := range basis {
		basis[j] = make([]float64, s.n)
		for i, v := range s.v[:m] {
			floats.AddScaled(basis[j], q[i*m+j], v)
		}
	}
	basis = append(basis, s.v[m])
	s.v = append(basis, s.v[keep:m]...) // the rest is overwritten
	clear(s.h)
	for i := range keep {
		copy(s.h[i*m:i*m+keep], t[i*m:i*m+keep])
	}
	clear(s.beta)
	copy(s.beta, b[:keep])
	s.size = keep
	return nil
}

// ritz finds the eigenvectors of the leading block of T and what they leave over.
func (s *krylov) ritz(t, b []float64, size int) (*mat.CDense, error) {
	block := mat.NewDense(size, size, nil)
	for i := range size {
		copy(block.RawRowView(i), t[i*s.Basis:i*s.Basis+size])
	}
	var eigen mat.Eigen
	if !eigen.Factorize(block, mat.EigenRight) {
		return nil, fmt.Errorf("the eigenvalues of a %d×%d matrix did not converge", size, size)
	}
	values, vectors := eigen.Values(nil), new(mat.CDense)
	eigen.VectorsTo(vectors)
	order := make([]int, size)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return s.compare(values[i], values[j]) })
	floor := math.Pow(0x1p-52, 2.0/3) * mat.Norm(block, 2)
	s.found = Eigen{Converged: true, Products: s.products, tol: s.Tol}
	sorted := mat.NewCDense(size, size, nil)
	for k, i := range order {
		var residual complex128
		for j := range size {
			sorted.Set(j, k, vectors.At(j, i))
			residual += complex(b[j], 0) * vectors.At(j, i)
		}
		s.found.Values = append(s.found.Values, values[i])
		s.found.Residual = append(s.found.Residual, cmplx.Abs(residual))
		if !(cmplx.Abs(residual) <= s.Tol*max(cmplx.Abs(values[i]), floor)) {
			s.found.Converged = false
		}
	}
	return sorted, nil
}

// expand writes the eigenvectors of A.
func (s *krylov) expand(vectors *mat.CDense, q []float64) {
	size, m := len(s.found.Values), s.Basis
	for k := range size {
		x := make([]complex128, s.n)
		for i := range m {
			var c complex128
			for j := range size {
				c += complex(q[i*m+j], 0) * vectors.At(j, k)
			}
			for l, v := range s.v[i] {
				x[l] += c * complex(v, 0)
			}
		}
		norm := 0.0
		for _, v := range x {
			norm = math.Hypot(norm, cmplx.Abs(v))
		}
		for l := range x {
			x[l] /= complex(norm, 0)
		}
		s.found.Vectors = append(s.found.Vectors, x)
	}
}

// compare orders eigenvalues: the wanted ones first.
func (s *krylov) compare(a, b complex128) int {
	if s.Order == "real" {
		if d := real(a) - real(b); math.Abs(d) > 1e-12*max(cmplx.Abs(a), cmplx.Abs(b)) {
			if d > 0 {
				return -1
			}
			return 1
		}
	}
	return byModulus(a, b)
}

// order moves the size wanted eigenvalues to the head of the Schur form and returns how many
// that are: one more where a pair would be split.
func (s *krylov) order(t, q []float64, size int) int {
	m := s.Basis
	work := make([]float64, m)
	head := 0
	for head < size {
		best, value := -1, complex128(0)
		for i := head; i < m; {
			v, width := blockAt(t, m, i)
			if best < 0 || s.compare(v, value) < 0 {
				best, value = i, v
			}
			i += width
		}
		_, width := blockAt(t, m, best)
		if best != head {
			// Where two eigenvalues are too near to be swapped the order stays: they are
			// equal to rounding.
			lapackgo.Implementation{}.Dtrexc(lapack.UpdateSchur, m, t, m, q, m, best, head, work)
			_, width = blockAt(t, m, head)
		}
		head += width
	}
	return head
}

// blockAt returns the eigenvalue, with positive imaginary part, and the width of the
// diagonal block of T that begins at i.
func blockAt(t []float64, m, i int) (complex128, int) {
	if i+1 < m && t[(i+1)*m+i] != 0 {
		return complex(t[i*m+i], math.Sqrt(math.Abs(t[(i+1)*m+i]))*math.Sqrt(math.Abs(t[i*m+i+1]))), 2
	}
	return complex(t[i*m+i], 0), 1
}

// schur returns the real Schur form h = Q T Qᵀ of a matrix [m, m].
func schur(m int, h []float64) (t, q []float64, err error) {
	var impl lapackgo.Implementation
	t, q = slices.Clone(h), make([]float64, m*m)
	tau, wr, wi := make([]float64, max(1, m-1)), make([]float64, m), make([]float64, m)
	work := make([]float64, 64*m)
	impl.Dgehrd(m, 0, m-1, t, m, tau[:m-1], work, len(work))
	copy(q, t)
	impl.Dorghr(m, 0, m-1, q, m, tau[:m-1], work, len(work))
	for i := 2; i < m; i++ { // the reflectors
		clear(t[i*m : i*m+i-1])
	}
	if unconverged := impl.Dhseqr(lapack.EigenvaluesAndSchur, lapack.SchurOrig, m, 0, m-1, t, m, wr, wi, q, m, work, len(work)); unconverged > 0 {
		return nil, nil, fmt.Errorf("the eigenvalues of a %d×%d matrix did not converge", m, m)
	}
	return t, q, nil
}

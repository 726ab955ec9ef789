package stability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/solvers"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Finder are the options of FixedPoints.
type Finder struct {
	Dynamics     string  `default:"map" doc:"what stable means: of the map z ← f(z), all |λ| < 1; of the rate dynamics dz/dt = −z + f(z), all Re λ < 1, with λ the eigenvalues of ∂f/∂z" choices:"map,rate"`
	Trajectories int     `default:"32" doc:"trajectories from random states N(0, scale²) whose states the search begins at; −1 is none"`
	Scale        float64 `default:"1" doc:"standard deviation of the random states"`
	Steps        int     `default:"200" doc:"steps of each trajectory"`
	Visited      int     `default:"6" doc:"states taken of each trajectory, at its begin and then ever less often"`
	Rounds       int     `default:"3" doc:"further searches from between and beyond the points found, as long as they find new ones; −1 is none"`
	Tol          float64 `default:"1e-10" doc:"largest ‖f(z) − z‖, relative to ‖z‖ + √n, of a fixed point"`
	Slow         float64 `doc:"report the minima of q = ½‖f(z) − z‖² too that are no fixed points, up to this q"`
	Unique       float64 `default:"1e-3" doc:"root mean square difference of units below which two points are one"`
	K            int     `key:"eigenvalues" doc:"eigenvalues found at each point; 0 is all, up to 1024 units, and beyond the 20 that decide"`
	Seed         uint64  `doc:"of the random states"`
}

// Validate reports options outside their range.
func (o Finder) Validate() error {
	o = options.WithDefaults(o)
	switch {
	case o.Dynamics != "map" && o.Dynamics != "rate":
		return fmt.Errorf("dynamics: expected map or rate, found %q", o.Dynamics)
	case o.Steps < 1 || o.Visited < 1 || o.K < 0:
		return fmt.Errorf("steps, visited and eigenvalues: expected at least 1, 1 and 0, found %d, %d and %d", o.Steps, o.Visited, o.K)
	case !(o.Scale > 0) || !(o.Tol > 0) || !(o.Unique > 0) || !(o.Slow >= 0):
		return fmt.Errorf("scale, tol, unique and slow: expected positive numbers, found %g, %g, %g and %g", o.Scale, o.Tol, o.Unique, o.Slow)
	}
	return nil
}

// FixedPoint is a point where the state rests, or nearly so.
type FixedPoint struct {
	Z      []float64
	Q      float64 // ½‖f(z) − z‖²
	Status string  // Stable, Saddle or Slow
	// Values are eigenvalues of ∂f/∂z, those that decide about stability first, and Unstable
	// is how many of them are unstable.
	Values   []complex128
	Unstable int
	// Index is the sign of det(I − ∂f/∂z), 0 where not all eigenvalues are known. For a cell that
	// maps some ball into itself, as one with a bounded activation does, the indices of all
	// fixed points add up to 1 (Poincaré and Hopf): if they do not, some were not found.
	Index int
	Found int // from so many of the states that the search began at
}

// The values of FixedPoint.Status.
const (
	Stable = "stable" // returns from everywhere nearby
	Saddle = "saddle" // leaves it in some directions at least
	Slow   = "slow"   // no fixed point: the speed has a minimum there that is not 0
)

// FixedPoints searches for the fixed points of f(·, x) for one input x [inputs] (nil: 0). It begins at the
// states given, starts [any number, units] (may be nil), and at states on trajectories of the
// dynamics, goes on by Newton's method, where that fails minimises the speed q = ½‖f(z) − z‖² and
// tries again, and begins anew at states between and beyond the points found. Points are refined to
// the tolerance, listed once, those nearest to 0 first, and told apart by their spectrum.
//
// What it finds is sure, that it finds all is not: see Found for how often it came to each, and Index.
//
// D. Sussillo and O. Barak, Opening the Black Box, Neural Computation 25 (2013) 626–649,
// doi:10.1162/NECO_a_00409.
func FixedPoints[T deq.Float](ctx context.Context, l *deq.Layer[T], x, starts []T, o Finder) (points []FixedPoint, err error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("stability: fixed points: %w", err)
	}
	o = options.WithDefaults(o)
	n := l.Units
	if x == nil {
		x = make([]T, l.Inputs)
	}
	if len(x) != l.Inputs || len(starts)%n != 0 {
		return nil, fmt.Errorf("stability: fixed points: input of %d numbers and states of %d: expected %d and rows of %d", len(x), len(starts), l.Inputs, n)
	}
	s := &search[T]{Finder: o, layer: l, x: x, method: newtonFor[T](n, o.Tol)}
	if o.Trajectories > 0 {
		visited, err := s.visited(ctx)
		if err != nil {
			return nil, err
		}
		starts = append(slices.Clip(starts), visited...)
	}
	for round := 0; ; round++ {
		before := len(s.points)
		if err = s.from(ctx, starts); err != nil {
			return nil, err
		}
		if len(s.points) == before || round >= o.Rounds {
			break
		}
		if starts, err = s.between(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.points, func(a, b FixedPoint) int {
		if x, y := norm(a.Z), norm(b.Z); math.Abs(x-y) > 1e-6*max(x, y) { // as of mirror images
			return cmp.Compare(x, y)
		}
		return slices.Compare(b.Z, a.Z)
	})
	for i := range s.points {
		if err := s.classify(ctx, &s.points[i]); err != nil {
			return nil, err
		}
	}
	return s.points, nil
}

func norm(z []float64) float64 { return math.Sqrt(kernels.SumSquares(z)) }

// search is a search for fixed points.
type search[T deq.Float] struct {
	Finder
	layer  *deq.Layer[T]
	x      []T
	method deq.Solver[T]
	points []FixedPoint
}

// newtonFor is the method that refines.
func newtonFor[T deq.Float](n int, tol float64) deq.Solver[T] {
	if _, single := any(T(0)).(float32); single {
		tol = max(tol, 1e-5)
	}
	with := deq.Solver[T]{Method: solvers.Newton[T]{}, Settings: solvers.Settings{RTol: tol, ATol: tol * math.Sqrt(float64(n)), MaxEvals: 40 * (n + 1)}}
	if n > 256 {
		with.Method, with.Settings.MaxEvals = solvers.NewtonGMRES[T]{Restart: 100}, 3000
	}
	return with
}

// inputs is the input for rows samples.
func (s *search[T]) inputs(rows int) []T { return slices.Repeat(s.x, rows) }

// batches calls do for as many of the rows of z at a time as the layer's batch holds.
func (s *search[T]) batches(z []T, do func(z []T) error) error {
	size := s.layer.Batch() * s.layer.Units
	for first := 0; first < len(z); first += size {
		if err := do(z[first:min(first+size, len(z))]); err != nil {
			return err
		}
	}
	return nil
}

// visited are states on trajectories, with the initial ones: after 0, 1, … steps, ever farther apart.
func (s *search[T]) visited(ctx context.Context) ([]T, error) {
	r := rng.Stream(s.Seed, "stability/finder")
	z := make([]T, s.Trajectories*s.layer.Units)
	for i := range z {
		z[i] = T(s.Scale * r.NormFloat64())
	}
	var out []T
	err := s.batches(z, func(z []T) error {
		taken := 0
		return run(ctx, s.layer, s.x, z, s.Dynamics, s.Steps, func(step int, gone []bool) bool {
			if due := math.Pow(float64(s.Steps+1), float64(taken)/float64(s.Visited)) - 1; float64(step) >= due {
				out = append(out, z...)
				taken++
			}
			return taken < s.Visited && slices.Contains(gone, false)
		})
	})
	return out, err
}

// from searches from states [any number, units].
func (s *search[T]) from(ctx context.Context, starts []T) error {
	return s.batches(starts, func(z0 []T) error {
		failed, err := s.newton(ctx, z0, nil)
		if err != nil {
			return err
		}
		n := s.layer.Units
		var slow []T
		for _, b := range failed {
			z, err := s.minimise(ctx, z0[b*n:(b+1)*n])
			if err != nil {
				return err
			}
			slow = append(slow, z...)
		}
		if len(slow) == 0 {
			return nil
		}
		_, err = s.newton(ctx, slow, func(z []T, q float64) error {
			if q > s.Slow {
				return nil
			}
			return s.add(ctx, z, q, Slow)
		})
		return err
	})
}

// newton adds the fixed points that Newton's method finds from the states, and returns the rows from which it
// finds none; of those it tells, which may be nil, the state that it began at and its q.
func (s *search[T]) newton(ctx context.Context, z0 []T, tell func(z []T, q float64) error) (failed []int, err error) {
	n := s.layer.Units
	e, err := s.layer.Solve(ctx, s.inputs(len(z0)/n), z0, s.method)
	if err != nil {
		return nil, err
	}
	speeds, err := s.speeds(e.Z)
	if err != nil {
		return nil, err
	}
	before, err := s.speeds(z0)
	if err != nil {
		return nil, err
	}
	for b, status := range e.Report.Status {
		if z := e.Z[b*n : (b+1)*n]; status == solvers.Converged {
			if err := s.add(ctx, z, speeds[b], ""); err != nil {
				return nil, err
			}
			continue
		}
		failed = append(failed, b)
		if tell != nil {
			if err := tell(z0[b*n:(b+1)*n], before[b]); err != nil {
				return nil, err
			}
		}
	}
	return failed, nil
}

// speeds is q of the rows of z.
func (s *search[T]) speeds(z []T) ([]float64, error) {
	n := s.layer.Units
	here, err := s.layer.At(s.inputs(len(z)/n), z)
	if err != nil {
		return nil, err
	}
	fz := make([]T, len(z))
	if err := here.Next(fz); err != nil {
		return nil, err
	}
	q := make([]float64, here.Rows)
	for b := range q {
		q[b] = kernels.SquaredDistance(fz[b*n:(b+1)*n], z[b*n:(b+1)*n]) / 2
	}
	return q, nil
}

// minimise goes from a state to a minimum of q by the method L-BFGS.
func (s *search[T]) minimise(ctx context.Context, z0 []T) ([]T, error) {
	n := s.layer.Units
	z, fz, u, ju := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	var failed error
	at := func(x []float64) (q float64, here *deq.Equilibrium[T]) {
		if failed = cmp.Or(failed, ctx.Err()); failed != nil {
			return math.NaN(), nil
		}
		narrow(z, x)
		if here, failed = s.layer.At(s.x, z); failed != nil {
			return math.NaN(), nil
		}
		if failed = here.Next(fz); failed != nil {
			return math.NaN(), nil
		}
		kernels.Sub(u, fz, z)
		return kernels.SumSquares(u) / 2, here
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 {
			q, _ := at(x)
			return q
		},
		Grad: func(grad, x []float64) {
			_, here := at(x)
			if here == nil {
				return
			}
			if failed = here.ApplyJT(u, ju); failed != nil {
				return
			}
			for i := range grad {
				grad[i] = float64(ju[i]) - float64(u[i])
			}
		},
	}
	r, err := optimize.Minimize(problem, widen(z0), &optimize.Settings{MajorIterations: 500, GradientThreshold: 1e-12}, &optimize.LBFGS{})
	if failed != nil {
		return nil, fmt.Errorf("stability: fixed points: %w", failed)
	}
	if r == nil {
		return nil, fmt.Errorf("stability: fixed points: %w", err)
	}
	out := make([]T, n) // that the search along a line ends early is no failure
	narrow(out, r.X)
	return out, nil
}

func widen[T deq.Float](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func narrow[T deq.Float](dst []T, v []float64) {
	for i, x := range v {
		dst[i] = T(x)
	}
}

// add lists a point if it is new, and if it is no fixed point but for its small residual if slow ones are wanted.
func (s *search[T]) add(ctx context.Context, z []T, q float64, status string) error {
	p := FixedPoint{Z: widen(z), Q: q, Status: status, Found: 1}
	for i, old := range s.points {
		if math.Sqrt(kernels.SquaredDistance(p.Z, old.Z)/float64(len(z))) > s.Unique {
			continue
		}
		p.Found += old.Found
		if s.points[i].Found = p.Found; q < old.Q {
			p.Status = old.Status
			s.points[i] = p
		}
		return nil
	}
	if status == "" {
		far, err := s.distance(ctx, z)
		if err != nil {
			return err
		}
		if !(far <= s.Unique) {
			if q > s.Slow || s.Slow == 0 {
				return nil
			}
			p.Status = Slow
		}
	}
	s.points = append(s.points, p)
	return nil
}

// distance estimates how far a state is from a fixed point, as the root mean square of the Newton step
// (I − J)⁻¹(f(z) − z). Where a cell nearly stands still, as one with closed gates, the residual alone
// says nothing. It is 0 beyond MaxDense units, where it is not found.
func (s *search[T]) distance(ctx context.Context, z []T) (float64, error) {
	n := len(z)
	here, err := s.layer.At(s.x, z)
	if err != nil {
		return 0, err
	}
	fz := make([]T, n)
	if err := here.Next(fz); err != nil {
		return 0, err
	}
	kernels.Sub(fz, fz, z)
	if n > MaxDense || kernels.MaxAbs(fz) == 0 {
		return 0, nil
	}
	j, err := Jacobian(ctx, here, 0)
	if err != nil {
		return 0, err
	}
	j.Scale(-1, j)
	for i := range n {
		j.Set(i, i, j.At(i, i)+1)
	}
	var lu mat.LU
	lu.Factorize(j)
	step := mat.NewVecDense(n, nil)
	if err := lu.SolveVecTo(step, false, mat.NewVecDense(n, widen(fz))); err != nil {
		var rough mat.Condition
		if !errors.As(err, &rough) || math.IsInf(float64(rough), 1) {
			return math.Inf(1), nil // singular
		}
	}
	return mat.Norm(step, 2) / math.Sqrt(float64(n)), nil
}

// between are states half-way between points, beyond them, mirrored, and far off along the directions
// that the cell stretches most: where a loop of low rank drives the state.
func (s *search[T]) between(ctx context.Context) ([]T, error) {
	const (
		most = 16 // points that are combined
		few  = 4  // from which directions are followed
	)
	var out []T
	add := func(a, b []float64, wa, wb float64) {
		for i := range a {
			out = append(out, T(wa*a[i]+wb*b[i]))
		}
	}
	for _, p := range s.points[max(0, len(s.points)-few):] {
		directions, err := s.stretched(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, d := range directions {
			for _, a := range []float64{0.5, 1, 2, 4} {
				a *= s.Scale * math.Sqrt(float64(len(d)))
				add(p.Z, d, 1, a)
				add(p.Z, d, 1, -a)
			}
		}
	}
	last := max(0, len(s.points)-most)
	for i, p := range s.points[last:] {
		add(p.Z, p.Z, -1, 0)
		for _, other := range s.points[max(0, last-most) : last+i] {
			add(p.Z, other.Z, 0.5, 0.5)
			add(p.Z, other.Z, 1.5, -0.5)
			add(p.Z, other.Z, -0.5, 1.5)
		}
	}
	return out, nil
}

// stretched are the leading left singular vectors of ∂f/∂z at a point, to a few per cent.
func (s *search[T]) stretched(ctx context.Context, p FixedPoint) ([][]float64, error) {
	z := make([]T, len(p.Z))
	narrow(z, p.Z)
	here, err := s.layer.At(s.x, z)
	if err != nil {
		return nil, err
	}
	ju := make([]T, len(z))
	found, err := leading(ctx, 1, len(z), func(u, jju []T) error { // J Jᵀ
		if err := here.ApplyJT(u, ju); err != nil {
			return err
		}
		return here.JVP(ju, jju)
	}, Arnoldi{K: 3, Order: "real", Tol: 0.05, Restarts: 2})
	if err != nil {
		return nil, err
	}
	var out [][]float64
	for _, v := range found[0].Vectors {
		d := make([]float64, len(v))
		for i, c := range v {
			d[i] = real(c)
		}
		out = append(out, d)
	}
	return out, nil
}

// classify finds the spectrum of a point.
func (s *search[T]) classify(ctx context.Context, p *FixedPoint) error {
	z := make([]T, len(p.Z))
	narrow(z, p.Z)
	here, err := s.layer.At(s.x, z)
	if err != nil {
		return err
	}
	order, beyond := "modulus", func(v complex128) float64 { return cmplx.Abs(v) }
	if s.Dynamics == "rate" {
		order, beyond = "real", func(v complex128) float64 { return real(v) }
	}
	k := s.K
	if k == 0 && s.layer.Units > MaxDense {
		k = 20
	}
	if k == 0 || s.layer.Units <= small {
		if p.Values, err = Spectrum(ctx, here, 0); err != nil {
			return err
		}
	} else {
		found, err := Leading(ctx, here, Arnoldi{K: k, Basis: max(40, 2*k+2), Order: order})
		if err != nil {
			return err
		}
		p.Values = found[0].Values
	}
	slices.SortStableFunc(p.Values, func(a, b complex128) int { return cmp.Compare(beyond(b), beyond(a)) })
	if k > 0 && k < len(p.Values) {
		p.Values = p.Values[:k]
	}
	if len(p.Values) == s.layer.Units && p.Status != Slow {
		p.Index = 1
	}
	for _, v := range p.Values {
		if beyond(v) >= 1 {
			p.Unstable++
		}
		if imag(v) == 0 && real(v) > 1 {
			p.Index *= -1
		}
	}
	if p.Status == "" {
		p.Status = Stable
		if p.Unstable > 0 {
			p.Status = Saddle
		}
	}
	return nil
}

package stability

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/solvers"

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
	Unique       float64 `doc:"root mean square difference of units below which two points are one; 0 tells fixed points apart as far as their positions are known, and where these are not refined, as slow points and those of more than 1024 units, at 0.001"`
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
	case !(o.Scale > 0) || !(o.Tol > 0) || !(o.Unique >= 0) || !(o.Slow >= 0):
		return fmt.Errorf("scale, tol, unique and slow: expected positive numbers, found %g, %g, %g and %g", o.Scale, o.Tol, o.Unique, o.Slow)
	}
	return nil
}

// FixedPoint is a point where the state rests, or nearly so, or stands for a whole continuum of them.
type FixedPoint struct {
	Z []float64
	// Error bounds ‖Z − z*‖, as far as rounding hides the fixed point z*; NaN where that is not known: of slow points,
	// and beyond MaxDense units.
	Error  float64
	Q      float64 // ½‖f(z) − z‖²
	Status string  // Stable, Saddle, Marginal, Extended or Slow
	// Values are eigenvalues of ∂f/∂z, those that decide about stability first: Unstable of them are unstable, and the
	// next Marginal are as near to the border of stability as their errors. Complete says that no others are either.
	Values             []complex128
	Unstable, Marginal int
	Complete           bool
	// Gap is how far the eigenvalue nearest to the border is beyond it, |λ| − 1 or Re λ − 1, and GapError the bound of its
	// error, 0 where the distance is far too large to be one.
	Gap, GapError float64
	// Index is the sign of det(I − ∂f/∂z), or 0: where an eigenvalue is 1 up to its error, at marginal points at all, and
	// where not all eigenvalues beyond 1 are known. For a cell that maps some ball into itself, as one with a
	// bounded activation does, the indices of all fixed points add up to 1 (Poincaré and Hopf): if they do not, some were not found.
	Index     int
	Found     int        // from so many of the states that the search began at
	Continuum *Continuum // of the status Extended

	// Kinks is how many of the cell's kinks (models.Kink) the point is on, that matter. It has no Jacobian then but one for each
	// of the pieces that meet there. Stability is that of the one-sided derivative, which is followed along many
	// directions; Values are of the piece in which it grows most, and Gap is its growth.
	Kinks int

	inverse float64     // ‖(I − J)⁻¹‖, about
	rays    [][]float64 // of a point on kinks: directions along which it is left, to one side each
}

// The values of FixedPoint.Status.
const (
	Stable   = "stable"    // returns from everywhere nearby
	Saddle   = "saddle"    // leaves it in some directions at least
	Marginal = "marginal"  // the linear dynamics do not decide: an eigenvalue is on the border of stability up to its error
	Extended = "continuum" // one point of many that are connected: a line, a ring, a plane
	Slow     = "slow"      // no fixed point: the speed has a minimum there that is not 0
)

// FixedPoints searches for the fixed points of f(·, x) for one input x [inputs] (nil: 0). It begins at the
// states given, starts [any number, units] (may be nil), at 0, and at states on trajectories of the
// dynamics, goes on by Newton's method, where that fails minimises the speed q = ½‖f(z) − z‖² and
// tries again, and begins anew at states between and beyond the points found. Points are refined to
// rounding, listed once, those nearest to 0 first, and told apart by their spectrum. Where I − J is nearly singular the
// neighbourhood is searched for further points, and a line, ring or plane of fixed points is followed and listed as one.
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
	starts = append(slices.Clip(starts), make([]T, n)...) // and 0
	if o.Trajectories > 0 {
		visited, err := s.visited(ctx)
		if err != nil {
			return nil, err
		}
		starts = append(starts, visited...)
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

// norm is ‖z‖, also of numbers whose squares underflow.
func norm[T deq.Float](z []T) float64 {
	sum := kernels.SumSquares(z)
	largest := float64(kernels.MaxAbs(z))
	if sum > 1e-280 || largest == 0 || math.IsNaN(sum) {
		return math.Sqrt(sum)
	}
	sum = 0
	for _, v := range z {
		c := float64(v) / largest
		sum += c * c
	}
	return largest * math.Sqrt(sum)
}

// search is a search for fixed points.
type search[T deq.Float] struct {
	Finder
	layer  *deq.Layer[T]
	x      []T
	method deq.Solver[T]
	points []FixedPoint
	curves []*Continuum // with those of slow states
	times  int          // that f is applied, to look for cycles; 0 is once
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
		return run(ctx, s.layer, s.x, z, s.Dynamics, 1, s.Steps, func(step int, gone []bool) bool {
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
			switch {
			case n <= MaxDense && math.Sqrt(2*q) <= nearlyStill*(norm(widen(z))+math.Sqrt(float64(n))):
				return s.add(ctx, z, q, "") // where I − J is singular, or nearly so
			case q > s.Slow:
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

// nearlyStill is the residual, relative to ‖z‖ + √n, from which fixed points are looked for along the weakest direction.
const nearlyStill = 1e-6

// slowUnique tells points apart whose positions are not refined.
const slowUnique = 1e-3

// known is which of the points a state is within some distance of, −1 for none.
func (s *search[T]) known(z []float64, within func(p FixedPoint) float64) int {
	for i, p := range s.points {
		if p.Continuum == nil && math.Sqrt(kernels.SquaredDistance(z, p.Z)) <= within(p) {
			return i
		}
	}
	return -1
}

// add lists a point if it is new, and if it is no fixed point but for its small residual if slow ones are wanted.
func (s *search[T]) add(ctx context.Context, z []T, q float64, status string) error {
	n := len(z)
	root := math.Sqrt(float64(n))
	unique := s.Unique * root
	p := FixedPoint{Z: widen(z), Error: math.NaN(), Q: q, Status: status, Found: 1}
	if status == Slow || n > MaxDense {
		if unique == 0 {
			unique = slowUnique * root
		}
		if i := s.known(p.Z, func(FixedPoint) float64 { return unique }); i >= 0 {
			if p.Found += s.points[i].Found; q < s.points[i].Q && s.points[i].Status == status {
				s.points[i] = p
			}
			s.points[i].Found = p.Found
			return nil
		}
		s.points = append(s.points, p)
		return nil
	}
	// Of a point with a good derivative there is no other so near.
	if i := s.known(p.Z, func(p FixedPoint) float64 {
		return max(unique, 4*p.Error, min(1e-6*root, 1e-4/p.inverse))
	}); i >= 0 {
		s.points[i].Found++
		return nil
	}
	here, inverse, err := s.polish(ctx, p.Z)
	if err != nil {
		return err
	}
	return s.settled(ctx, here, inverse, q)
}

// settled lists what a search has ended at, if it is a fixed point and new. Where I − J is nearly singular its neighbourhood is
// looked at.
func (s *search[T]) settled(ctx context.Context, here *spot, inverse, q float64) error {
	if on, err := s.onPieces(ctx, here); on || err != nil {
		return err
	}
	if inverse < singular && here.still() {
		s.list(here, inverse, here.noise*inverse)
		return nil
	}
	f := here.factor()
	if f == nil {
		return nil
	}
	root := math.Sqrt(float64(len(here.z)))
	on := here.z // the slow curve, if there is one
	if len(s.curves) > 0 && !here.still() {
		p, _, err := s.correct(ctx, here.z, 1, f)
		if err != nil {
			return err
		}
		if p != nil {
			on = p.z
		}
	}
	for _, c := range s.curves {
		left, err := s.approach(ctx, c, on, 1e-6*root)
		if err != nil {
			return err
		}
		if left <= 1e-6*root {
			s.found(c, here.z)
			return nil
		}
	}
	if !here.still() {
		better, own, err := s.correct(ctx, here.z, -1, f)
		if err != nil {
			return err
		}
		if better != nil {
			here, f = better, own
		}
	}
	if f == nil {
		if f = here.factor(); f == nil {
			return nil
		}
	}
	if !here.still() {
		return s.drifting(ctx, here, f, q)
	}
	if on, err := s.onPieces(ctx, here); on || err != nil {
		return err
	}
	if s.again(here.z, 0) {
		return nil
	}
	near, err := s.around(here, f)
	if err != nil {
		return err
	}
	if near.open == 0 && f.weak(1e-7) < 2 {
		return s.isolated(ctx, here, near, inverse)
	}
	c, rests, err := s.explore(ctx, here, f)
	if err != nil {
		return err
	}
	switch {
	case c != nil && rests == nil:
		return s.extend(ctx, here, c)
	case c != nil:
		return s.along(ctx, c, rests)
	case near.sure:
		return s.isolated(ctx, here, near, inverse)
	}
	return nil // a region that is slow to rounding
}

// drifting looks for fixed points along the curve of slow states that a state is on. Where there are none it is a slow point.
func (s *search[T]) drifting(ctx context.Context, here *spot, f *factors, q float64) error {
	c, rests, err := s.explore(ctx, here, f)
	if err != nil {
		return err
	}
	if c != nil {
		return s.along(ctx, c, rests)
	}
	if s.Slow > 0 && q <= s.Slow {
		s.points = append(s.points, FixedPoint{Z: here.z, Error: math.NaN(), Q: q, Status: Slow, Found: 1})
	}
	return nil
}

// along lists the fixed points along a curve of slow states.
func (s *search[T]) along(ctx context.Context, c *Continuum, rests []*spot) error {
	s.curves = append(s.curves, c)
	for _, p := range rests {
		f := p.factor()
		if f == nil {
			continue
		}
		near, err := s.around(p, f)
		if err != nil {
			return err
		}
		near.others = nil // they are among the others here
		if err := s.isolated(ctx, p, near, 1/f.sigma[len(f.sigma)-1]); err != nil {
			return err
		}
	}
	return nil
}

// isolated lists a fixed point whose position is as sure as its neighbourhood says, and those that are near it.
func (s *search[T]) isolated(ctx context.Context, p *spot, near *neighbourhood, inverse float64) error {
	if !s.list(p, inverse, near.uncertain) {
		return nil
	}
	for _, z := range near.others {
		there, inverse, err := s.polish(ctx, z)
		if err != nil {
			return err
		}
		if there.still() && !s.again(there.z, 0) {
			f := there.factor()
			if f == nil {
				continue
			}
			near, err := s.around(there, f)
			if err != nil {
				return err
			}
			if near.sure {
				s.list(there, inverse, near.uncertain)
			}
		}
	}
	return nil
}

// again says that a state is one of the points within their errors and its own, and counts it there.
func (s *search[T]) again(z []float64, own float64) bool {
	i := s.known(z, func(old FixedPoint) float64 {
		return max(max(s.Unique, finest)*math.Sqrt(float64(len(z))), 4*old.Error, 4*own)
	})
	if i < 0 {
		return false
	}
	s.points[i].Found++
	return true
}

// list takes a fixed point into the list, if it is new.
func (s *search[T]) list(p *spot, inverse, uncertain float64) bool {
	if s.again(p.z, uncertain) {
		return false
	}
	const nothing = 1e-100 // Newton's method comes to such numbers for 0
	// Numbers that are 0 up to the error, and may as well be.
	z := append([]float64(nil), p.z...)
	for i, v := range z {
		if math.Abs(v) <= max(uncertain, nothing) {
			z[i] = 0
		}
	}
	q := p.size * p.size / 2
	if g, err := s.residual(z); err == nil && norm(g) <= p.size {
		q = norm(g) * norm(g) / 2
	} else {
		z = p.z
	}
	s.points = append(s.points, FixedPoint{Z: z, Error: uncertain, Q: q, Found: 1, inverse: inverse})
	return true
}

// found counts a state on a curve where it belongs: to the continuum, or to the nearest of the points.
func (s *search[T]) found(c *Continuum, z []float64) {
	nearest, best := -1, math.Inf(1)
	for i, p := range s.points {
		if p.Continuum == c {
			s.points[i].Found++
			return
		}
		if d := kernels.SquaredDistance(p.Z, z); p.Continuum == nil && d < best {
			nearest, best = i, d
		}
	}
	if nearest >= 0 {
		s.points[nearest].Found++
	}
}

// extend lists a continuum in place of the points on it.
func (s *search[T]) extend(ctx context.Context, here *spot, c *Continuum) error {
	n := len(here.z)
	near := 1e-6 * math.Sqrt(float64(n))
	p := FixedPoint{Z: here.z, Q: here.size * here.size / 2, Status: Extended, Found: 1, Continuum: c}
	if f := c.samples[0].f; f != nil && c.Dimension < n {
		p.Error = here.noise / f.sigma[n-1-c.Dimension]
	}
	left := s.points[:0]
	for _, old := range s.points {
		if o := old.Continuum; o != nil && o.touches(c) {
			for _, q := range o.faces {
				c.join(q)
			}
			c.gather()
			s.curves = slices.DeleteFunc(s.curves, func(curve *Continuum) bool { return curve == o })
			p.Found += old.Found
			continue
		}
		if old.Continuum == nil && old.Status != Slow {
			far, err := s.approach(ctx, c, old.Z, near)
			if err != nil {
				return err
			}
			if far <= max(near, old.Error) {
				p.Found += old.Found
				continue
			}
		}
		left = append(left, old)
	}
	s.points, s.curves = append(left, p), append(s.curves, c)
	return nil
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
		if p.Continuum != nil {
			continue
		}
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

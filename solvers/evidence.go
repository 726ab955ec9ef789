package solvers

import (
	"math"

	"attractor/internal/kernels"
)

// Far from where it began a state meets every relative test in the end: of z ← z + 1, which has no fixed point,
// ‖g‖/‖f‖ falls to 0. So where ‖f‖ is grown times the first, or from an initial state other than 0 grown times √n, the
// test has to be confirmed.

// large says whether a state with that ‖f‖ has to be told from one that runs away.
func (c *course) large(f float64, n int) bool {
	return f > grown*c.firstF || c.start > 0 && f > grown*math.Sqrt(float64(n))
}

// confirms says whether row i, which meets the stopping measure with a large state, is at a fixed point. What ‖g‖ is
// compared with is the drive of the state: ‖g‖ at 0 if it began there, else at half of the state, where
// f(z/2) − z/2 = (g(z) + b)/2 for f = Wz + b. At a fixed point ‖g‖ is a small part of the drive, ε^¼, whereas on the
// way to infinity it is all of that part of it which no state can balance. This costs one evaluation, and
// one more whenever ‖f‖ has doubled or ‖g‖ halved.
//
// Where there is no drive, on a line of fixed points through 0, a state that is about as large as it was at first is
// taken when its residual is rounding.
//
// Where rounding hides whether the residual is small enough the sample has diverged.
func (s *Solver[T]) confirms(i int, g, f float64) (bool, error) {
	n, b := s.dim, s.it.Rows[i]
	c := &s.courses[b]
	part, noise := math.Sqrt(math.Sqrt(s.eps)), rounding*s.eps*f
	drive := 0.0
	if c.start == 0 {
		drive = c.first
	}
	if max(g, noise) <= part*drive {
		return true, nil
	}
	if f < c.halfF/2 || f > 2*c.halfF || g < c.halfG/2 {
		if s.evals[b] >= s.settings.MaxEvals {
			return false, nil
		}
		for j, x := range s.it.Z[i*n : (i+1)*n] {
			s.trial[j] = x / 2
		}
		if err := s.try(i); err != nil {
			return false, err
		}
		c.halfG, c.halfF = g, f
		c.half, _ = norms(s.trialF, s.trial)
		if s.settings.Norm == "max" {
			c.half, _ = maxNorms(s.trialF, s.trial)
		}
	}
	drive = max(drive, c.half) // NaN stays
	if max(g, noise) <= part*drive {
		return true, nil
	}
	if size := c.size(); f <= grown*size {
		if noise <= part*size && g <= noise {
			return true, nil
		}
		drive = max(drive, size)
	}
	c.doubted = true
	if !(noise <= part*drive) {
		s.status[b] = Diverged
	}
	return false, nil
}

// vanishes says whether row i, whose ‖f‖ and ‖g‖ are within the tolerance of the first size, has shrunk away to a fixed
// point at 0, near which no relative test need be met: f(0) = 0. It costs one evaluation; the solution is 0.
func (s *Solver[T]) vanishes(i int) (bool, error) {
	b := s.it.Rows[i]
	if s.evals[b] >= s.settings.MaxEvals {
		return false, nil
	}
	clear(s.trial)
	if err := s.try(i); err != nil {
		return false, err
	}
	if _, f := maxNorms(s.trialF, s.trial); f != 0 {
		s.courses[b].notZero = true
		return false, nil
	}
	s.record(b, 0)
	s.keep(b, s.trial, s.trialF, 0, 0)
	s.status[b] = Converged
	return true, nil
}

// try evaluates f at trial for row i.
func (s *Solver[T]) try(i int) error { return s.it.F(s.it.Rows[i:i+1], s.trial, s.trialF) }

// norms returns ‖x − y‖ and ‖x‖, also where their squares are no numbers of the range.
func norms[T Float](x, y []T) (diff, size float64) {
	const least, most = 0x1p-960, 0x1p1000
	d, q := kernels.DistanceAndSquares(x, y)
	if d >= least && q >= least && d <= most && q <= most {
		return math.Sqrt(d), math.Sqrt(q)
	}
	diff, size = maxNorms(x, y)
	if diff > 0 && diff-diff == 0 {
		sum := 0.0
		for i, v := range x {
			e := (float64(v) - float64(y[i])) / diff
			sum += e * e
		}
		diff *= math.Sqrt(sum)
	}
	if size > 0 && size-size == 0 {
		sum := 0.0
		for _, v := range x {
			e := float64(v) / size
			sum += e * e
		}
		size *= math.Sqrt(sum)
	}
	return diff, size
}

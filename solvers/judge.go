package solvers

import "math"

// course is what is known of the way of a sample.
type course struct {
	start         float64 // ‖z‖ at first
	first, firstF float64 // ‖g‖ and ‖f‖ at first
	best          float64 // rank of the best iterate

	// the last new best by 1 %, in rank, and the evaluations and steps by then
	mark                float64
	markEvals, markStep int

	// the largest ‖g‖, and how many of the last steps have raised it
	most  float64
	rises int

	// the least ‖g‖, but for rounding, and the evaluations by then, and when ‖g‖ was far above it last
	least                  float64
	leastEvals, aboveEvals int

	earlierF, laterF float64 // ‖f‖ at the last two steps whose number is a power of two

	// of confirms
	half         float64 // ‖g‖ at half of the state, when it was asked for last,
	halfG, halfF float64 // and ‖g‖ and ‖f‖ then; 0 before
	doubted      bool    // the stopping measure was met but not confirmed

	// of rests
	adrift bool    // the stopping measure was met with no fixed point within reach
	driftG float64 // ‖g‖ when that was found last

	notZero bool // 0 is no fixed point
}

const (
	// grown is how many times its first size a state may have before it has to be told from one that runs away.
	grown = 10

	// shrunk is the part of its first size below which a state is measured by that part, so that progress towards a
	// fixed point at 0, where ‖g‖/‖f‖ need not fall, is seen.
	shrunk = 0.5

	// risen is how many steps in a row have to raise ‖g‖ before it has grown too far: one that leaps, as into
	// the saturation of a bounded cell or by units of very different scale, comes back.
	risen = 5

	// rounding times eps‖f‖ is what is taken for the rounding error of ‖g‖.
	rounding = 4
)

// size is that of the state and its image at first.
func (c *course) size() float64 { return max(c.firstF, c.start) }

// judge measures the residual of row i, keeps the iterate if it is the best so far, and
// decides whether the sample goes on.
func (s *Solver[T]) judge(i int) error {
	n, b := s.dim, s.it.Rows[i]
	z, fz := s.it.Z[i*n:(i+1)*n], s.it.FZ[i*n:(i+1)*n]
	c, t := &s.courses[b], &s.settings
	g, f := norms(fz, z)
	s.it.GNorm[i] = g
	if s.it.K == 0 {
		inf := math.Inf(1)
		*c = course{start: norm(z), best: inf, mark: inf, least: inf}
	}
	if g-g != 0 || f-f != 0 {
		s.overflow(b, z, fz)
		return nil
	}
	if t.Norm == "max" {
		g, f = maxNorms(fz, z)
	}
	if s.it.K == 0 {
		c.first, c.firstF, c.earlierF, c.laterF = g, f, f, f
	} else if s.it.K&(s.it.K-1) == 0 {
		c.earlierF, c.laterF = c.laterF, f
	}
	if c.rises++; g <= c.most || s.it.K == 0 {
		c.rises = 0
	}
	c.most = max(c.most, g)
	r, residual := t.measure(g, f)
	s.it.R[i] = r
	s.record(b, residual)
	rank := r
	if least := shrunk * c.size(); f < least && g > 0 {
		rank, _ = t.measure(g, least)
	}
	if rank < 0.99*c.mark {
		c.mark, c.markEvals, c.markStep = rank, s.evals[b], s.it.K
	}
	if noise := rounding * s.eps * f; g < c.least-noise/2 {
		c.least, c.leastEvals = g, s.evals[b]
	} else if g > 1.05*c.least+noise {
		c.aboveEvals = s.evals[b]
	}
	reached := r <= 1
	if reached && !(s.it.K == 0 && s.problem.Known) {
		var err error
		if reached, err = s.rests(i, g, f); err != nil {
			return err
		}
	}
	if reached && c.large(f, n) && max(g, rounding*s.eps*f) > t.absolute() {
		var err error
		if reached, err = s.confirms(i, g, f); err != nil {
			return err
		}
	}
	switch {
	case s.it.K == 0, reached, (r > 1 || c.adrift) && rank < c.best:
		s.keep(b, z, fz, rank, residual)
	}
	switch {
	case reached:
		s.status[b] = Converged
	case s.status[b] != Unfinished: // confirms or rests knows
	case t.Growth > 0 && g > t.Growth*c.first && c.rises >= risen:
		s.status[b] = Diverged
	default:
		if least := t.RTol * c.size(); f <= least && g <= least && !c.notZero {
			if found, err := s.vanishes(i); found || err != nil {
				return err
			}
		}
		s.status[b] = s.tires(i, r, f)
	}
	if end := s.status[b]; r <= 1 && c.adrift && end != Unfinished && end != Converged {
		s.breakdown[b] = Drift
	}
	return nil
}

func (s *Solver[T]) record(b int, residual float64) {
	if s.history != nil {
		s.history[b] = append(s.history[b], Point{Evals: s.evals[b], Residual: residual})
	}
}

// keep makes an iterate the best so far.
func (s *Solver[T]) keep(b int, z, fz []T, rank, residual float64) {
	n := s.dim
	s.courses[b].best, s.residual[b] = rank, residual
	copy(s.best[b*n:(b+1)*n], z)
	copy(s.bestF[b*n:(b+1)*n], fz)
}

// overflow ends sample b, whose residual is not finite.
func (s *Solver[T]) overflow(b int, z, fz []T) {
	n := s.dim
	c := &s.courses[b]
	s.status[b] = NonFinite
	_, f := maxNorms(fz, z)
	_, size := maxNorms(z, z)
	if f == f && s.it.K > 0 && size*s.eps > c.size() { // it has run off
		s.status[b] = Diverged
	}
	if s.evals[b] == 1 {
		copy(s.bestF[b*n:(b+1)*n], fz)
	}
	s.record(b, math.Inf(1))
}

// tires returns the status of a sample that has not converged: MaxEvals, Stalled, or Diverged where it met one of
// these limits on the way to infinity.
//
// It has stalled when there is no new best by 1 % in as many evaluations as Settings.Stall says, or in an eighth of
// all so far, unless throughout the last half of these the residual was the least or near it, and it fell, by
// however little: a contraction that is slow but steady goes on, a cycle, chaos or rounding does not.
func (s *Solver[T]) tires(i int, r, f float64) Status {
	b := s.it.Rows[i]
	c, t, evals := &s.courses[b], &s.settings, s.evals[b]
	end := Unfinished
	window := max(t.Stall, evals/8)
	steady := c.aboveEvals <= evals-window/2 && c.leastEvals > evals-window
	if t.Stall > 0 && evals-c.markEvals >= window && s.it.K-c.markStep >= stallSteps && !steady {
		end = Stalled
	} else if evals+s.stepEvals > t.MaxEvals {
		end = MaxEvals
	}
	away := r <= 1 && (c.doubted || c.adrift) || f > grown*c.size() && f > 1.5*c.earlierF
	if end != Unfinished && away && c.leastEvals < evals-evals/4 {
		return Diverged
	}
	return end
}

package solvers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Solver holds the memory of repeated solves of one shape by one method. After New
// nothing is allocated, neither per solve nor per step. It must not be used by two
// goroutines at a time.
type Solver[T Float] struct {
	batch, dim int
	settings   Settings
	stepper    Stepper[T]
	stepEvals  int // that a step takes at least
	eps        float64

	problem Problem[T]
	report  Report
	best    []T // the caller's z: [batch, dim], best iterates
	bestF   []T // [batch, dim]: f at the best iterates
	driftZ  []T // [batch, dim]: where samples were found adrift last

	// the active samples, packed
	it    Iterate[T]
	rows  []int
	z, fz []T
	gnorm []float64
	r     []float64
	fresh []bool

	// by sample
	status    []Status
	evals     []int
	residual  []float64
	breakdown []Breakdown
	history   [][]Point
	handovers []Handover
	courses   []course

	trial, trialF []T // [dim]: a state tried by confirms, vanishes or rests, and f of it
	way           way[T]
}

// New makes a solver for up to batch samples of dim numbers each.
func New[T Float](m Method[T], batch, dim int, s Settings) (*Solver[T], error) {
	if m == nil {
		return nil, errors.New("solvers: no method given")
	}
	if batch < 1 || dim < 1 {
		return nil, fmt.Errorf("solvers: expected a batch and a dimension of at least 1, found %d and %d", batch, dim)
	}
	if d, ok := m.(denseMethod); ok && s.MaxEvals == 0 {
		s.MaxEvals = d.defaultMaxEvals(dim)
	}
	s, err := complete[T](s)
	if err != nil {
		return nil, err
	}
	stepper, err := m.Start(Shape{Batch: batch, Dim: dim, MaxEvals: s.MaxEvals})
	if err != nil {
		return nil, err
	}
	v := &Solver[T]{
		batch: batch, dim: dim, settings: s, stepper: stepper, stepEvals: 1, eps: eps[T](),
		bestF: make([]T, batch*dim), driftZ: make([]T, batch*dim),
		rows: make([]int, batch), z: make([]T, batch*dim), fz: make([]T, batch*dim),
		gnorm: make([]float64, batch), r: make([]float64, batch), fresh: make([]bool, batch),
		status: make([]Status, batch), evals: make([]int, batch), residual: make([]float64, batch),
		breakdown: make([]Breakdown, batch), handovers: make([]Handover, 0, 4*batch),
		courses: make([]course, batch), trial: make([]T, dim), trialF: make([]T, dim), way: newWay[T](dim),
	}
	if d, ok := stepper.(costly); ok {
		v.stepEvals = d.stepEvals()
	}
	if s.History {
		v.history = make([][]Point, batch)
	}
	return v, nil
}

// denseMethod is a method whose step costs more evaluations than there are dimensions, for
// which the default number of evaluations would be none too many.
type denseMethod interface{ defaultMaxEvals(dim int) int }

// costly is a Stepper whose step takes more than one evaluation at least, f at the next iterate among them.
type costly interface{ stepEvals() int }

// Solve is New followed by a single Solver.Solve.
func Solve[T Float](ctx context.Context, p Problem[T], z []T, m Method[T], s Settings) (*Report, error) {
	v, err := New(m, max(1, p.Batch), p.Dim, s)
	if err != nil {
		return nil, err
	}
	return v.Solve(ctx, p, z)
}

// Settings returns the settings with the defaults filled in.
func (s *Solver[T]) Settings() Settings { return s.settings }

// Stepper returns the state of the method, as the last solve left it.
func (s *Solver[T]) Stepper() Stepper[T] { return s.stepper }

// FZ returns f at the best iterates of the last solve, [Batch, Dim]. The next solve
// overwrites it.
func (s *Solver[T]) FZ() []T { return s.bestF[:s.problem.Batch*s.dim] }

// Bytes is the memory that the solver and its method hold.
func (s *Solver[T]) Bytes() int {
	perSample := 8*8 + int(unsafe.Sizeof(course{}))
	return (s.batch*4+2)*s.dim*elemSize[T]() + s.way.bytes() + s.batch*perSample + s.stepper.Bytes()
}

// Solve solves p, which has up to as many samples as the solver was made for. On entry z
// [Batch, Dim] is the initial state, on return the best iterate of every sample. The
// report belongs to the solver: the next solve overwrites it.
//
// An error means that a callback failed, that p does not fit, or that the context was
// cancelled, which is looked at once per iteration; it wraps the cause. Whenever the
// report is not nil, z holds the best iterates so far.
func (s *Solver[T]) Solve(ctx context.Context, p Problem[T], z []T) (*Report, error) {
	switch {
	case p.F == nil:
		return nil, errors.New("solvers: Problem.F is missing")
	case p.Batch < 0 || p.Batch > s.batch:
		return nil, fmt.Errorf("solvers: Problem.Batch: expected 0 to %d, found %d", s.batch, p.Batch)
	case p.Dim != s.dim:
		return nil, fmt.Errorf("solvers: Problem.Dim: expected %d, found %d", s.dim, p.Dim)
	case len(z) != p.Batch*p.Dim:
		return nil, fmt.Errorf("solvers: z: expected %d numbers (%d samples of %d), found %d", p.Batch*p.Dim, p.Batch, p.Dim, len(z))
	}
	began := time.Now()
	s.begin(p, z)
	err := s.loop(ctx)
	s.best, s.handovers = nil, s.report.Handovers // it may have grown
	s.report.Wall = time.Since(began)
	return &s.report, err
}

func (s *Solver[T]) begin(p Problem[T], z []T) {
	n := p.Batch
	s.problem, s.best = p, z
	s.stepper.Reset()
	copy(s.z, z)
	copy(s.bestF, z)
	for b := range n {
		s.rows[b], s.fresh[b] = b, false
		s.status[b], s.evals[b], s.breakdown[b] = Unfinished, 0, NoBreakdown
		s.residual[b] = math.Inf(1)
		if s.history != nil {
			s.history[b] = s.history[b][:0]
		}
	}
	s.it = Iterate[T]{run: s}
	s.report = Report{
		Status: s.status[:n], Evals: s.evals[:n], Residual: s.residual[:n],
		Breakdown: s.breakdown[:n], Handovers: s.handovers[:0],
	}
	if s.history != nil {
		s.report.History = s.history[:n]
	}
}

// loop is the one loop of all methods.
func (s *Solver[T]) loop(ctx context.Context) error {
	s.pack(s.problem.Batch)
	for k := 0; len(s.it.Rows) > 0; k++ {
		s.it.K, s.report.Steps = k, k
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("solvers: stopped before iteration %d: %w", k, err)
		}
		if err := s.evaluate(); err != nil {
			return fmt.Errorf("solvers: evaluate at iteration %d: %w", k, err)
		}
		for i := range s.it.Rows {
			if err := s.judge(i); err != nil {
				return fmt.Errorf("solvers: evaluate at iteration %d: %w", k, err)
			}
		}
		s.freeze()
		if len(s.it.Rows) == 0 {
			break
		}
		clear(s.it.Fresh)
		if err := s.stepper.Step(&s.it); err != nil {
			return fmt.Errorf("solvers: step at iteration %d: %w", k, err)
		}
		s.freeze() // samples that the method gave up
	}
	return nil
}

// evaluate fills in f(z) where the step has not done so, a run of rows at a time.
func (s *Solver[T]) evaluate() error {
	n := s.dim
	for lo := 0; lo < len(s.it.Rows); {
		if s.it.Fresh[lo] {
			lo++
			continue
		}
		hi := lo + 1
		for hi < len(s.it.Rows) && !s.it.Fresh[hi] {
			hi++
		}
		if err := s.it.F(s.it.Rows[lo:hi], s.it.Z[lo*n:hi*n], s.it.FZ[lo*n:hi*n]); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// freeze takes the samples whose solve has ended out of the active ones.
func (s *Solver[T]) freeze() {
	n, to := s.dim, 0
	for i, b := range s.it.Rows {
		if s.status[b] != Unfinished {
			continue
		}
		if to != i {
			s.rows[to], s.gnorm[to], s.r[to], s.fresh[to] = b, s.gnorm[i], s.r[i], s.fresh[i]
			copy(s.z[to*n:(to+1)*n], s.z[i*n:(i+1)*n])
			copy(s.fz[to*n:(to+1)*n], s.fz[i*n:(i+1)*n])
		}
		to++
	}
	if to < len(s.it.Rows) {
		s.pack(to)
	}
}

// pack makes the first n packed samples the active ones.
func (s *Solver[T]) pack(n int) {
	s.it.Rows, s.it.Z, s.it.FZ = s.rows[:n], s.z[:n*s.dim], s.fz[:n*s.dim]
	s.it.GNorm, s.it.R, s.it.Fresh = s.gnorm[:n], s.r[:n], s.fresh[:n]
}

// charge counts one evaluation for each of the samples.
func (s *Solver[T]) charge(rows []int) {
	for _, b := range rows {
		s.evals[b]++
	}
}

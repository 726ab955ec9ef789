package solvertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"attractor/solvers"
)

// patient gives every method the evaluations it may need: Picard's iteration takes 18,000
// where the ratio is 0.999.
var patient = solvers.Settings{MaxEvals: 40000}

// Test checks that a method keeps the contract. A linear method is only given affine maps.
func Test[T solvers.Float](t *testing.T, m solvers.Method[T], linear bool) {
	c := contract[T]{m, linear}
	t.Run("solves", c.solves)
	t.Run("no fixed point", c.noFixedPoint)
	t.Run("not finite", c.notFinite)
	t.Run("failing sample", c.failingSample)
	t.Run("freezing", c.freezing)
	t.Run("counts", c.counts)
	t.Run("cap", c.evaluationCap)
	t.Run("warm start", c.warmStart)
	t.Run("cancelled", c.cancelled)
	t.Run("callback error", c.callbackError)
	t.Run("repeatable", c.repeatable)
	t.Run("allocations", c.allocations)
}

type contract[T solvers.Float] struct {
	method solvers.Method[T]
	linear bool
}

// easy returns maps of 8 dimensions that differ in how long they take.
func (c contract[T]) easy(n int) []Map[T] {
	maps := make([]Map[T], n)
	for i := range maps {
		maps[i] = Random[T](8, 0.3+0.1*float64(i), uint64(i))
	}
	return maps
}

func (c contract[T]) solver(t *testing.T, p solvers.Problem[T], s solvers.Settings) *solvers.Solver[T] {
	t.Helper()
	v, err := solvers.New(c.method, p.Batch, p.Dim, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (c contract[T]) solve(t *testing.T, p solvers.Problem[T], s solvers.Settings) ([]T, *solvers.Report) {
	t.Helper()
	z := make([]T, p.Batch*p.Dim)
	rep, err := c.solver(t, p, s).Solve(context.Background(), p, z)
	if err != nil {
		t.Fatal(err)
	}
	return z, rep
}

// near checks that z solves the map to the tolerance.
func near[T solvers.Float](t *testing.T, m Map[T], z []T, rtol float64) {
	t.Helper()
	size, off := 0.0, 0.0
	for i, w := range m.Want {
		size += w * w
		off += (float64(z[i]) - w) * (float64(z[i]) - w)
	}
	if limit := 2 * rtol * m.Slack * math.Sqrt(size); !(math.Sqrt(off) <= limit) {
		t.Errorf("%s: expected a solution to %.2g, found an error of %.2g", m.Name, limit, math.Sqrt(off))
	}
}

func rtol[T solvers.Float]() float64 {
	if _, ok := any(T(0)).(float32); ok {
		return 1e-4
	}
	return 1e-8
}

func (c contract[T]) solves(t *testing.T) {
	for _, m := range Solvable[T]() {
		if c.linear && !m.Affine {
			continue
		}
		for _, products := range []string{"f", "f, jvp, vjp", "f, vjp"} {
			p := Batch(m)
			switch products {
			case "f":
				p.Linearise, p.JVP, p.VJP = nil, nil, nil
			case "f, vjp":
				p.JVP = nil
			}
			z, rep := c.solve(t, p, patient)
			if err := rep.Err(); err != nil {
				t.Errorf("%s, given %s: %v", m.Name, products, err)
				continue
			}
			near(t, m, z, rtol[T]())
			t.Logf("%-14s given %-12s %6d evaluations", m.Name, products, rep.Evals[0])
		}
	}
}

func (c contract[T]) noFixedPoint(t *testing.T) {
	_, rep := c.solve(t, Batch(Shift[T](4)), solvers.Settings{})
	switch rep.Status[0] {
	case solvers.MaxEvals, solvers.Stalled, solvers.Diverged:
	default:
		t.Errorf("expected a failure, found %v", rep.Status[0])
	}
	err := rep.Err()
	var ce *solvers.ConvergenceError
	if !errors.Is(err, solvers.ErrNotConverged) || !errors.As(err, &ce) || ce.Status != rep.Status[0] {
		t.Errorf("expected a *ConvergenceError with status %v, found %v", rep.Status[0], err)
	}
}

func (c contract[T]) notFinite(t *testing.T) {
	z, rep := c.solve(t, Batch(NaN[T](4)), solvers.Settings{})
	if rep.Status[0] != solvers.NonFinite || rep.Evals[0] != 1 {
		t.Errorf("expected %v after 1 evaluation, found %v after %d", solvers.NonFinite, rep.Status[0], rep.Evals[0])
	}
	if !slices.Equal(z, make([]T, 4)) {
		t.Errorf("expected the initial state back, found %v", z)
	}

	// finite at first: the best iterate is kept
	m, calls := Random[T](4, 0.9, 1), 0
	f := m.F
	m.F = func(z, fz []T) {
		f(z, fz)
		if calls++; calls > 3 {
			fz[0] = T(math.NaN())
		}
	}
	z, rep = c.solve(t, Batch(m), solvers.Settings{})
	if s := rep.Status[0]; s == solvers.Unfinished || s == solvers.MaxEvals {
		t.Errorf("expected an early end, found %v", s)
	}
	for _, v := range z {
		if v-v != 0 {
			t.Errorf("expected a finite best iterate, found %v", z)
		}
	}
}

func (c contract[T]) failingSample(t *testing.T) {
	for _, bad := range []Map[T]{NaN[T](8), Shift[T](8)} {
		maps := c.easy(4)
		_, want := c.solve(t, Batch(maps...), solvers.Settings{})
		if want.Failed() > 0 {
			t.Fatal(want.Err())
		}
		maps[1] = bad
		z, rep := c.solve(t, Batch(maps...), solvers.Settings{})
		if rep.Failed() != 1 || rep.Status[1] == solvers.Converged {
			t.Errorf("with %s: expected only sample 1 to fail, found %v", bad.Name, rep.Status)
		}
		for _, b := range []int{0, 2, 3} {
			near(t, maps[b], z[b*8:(b+1)*8], rtol[T]())
			if rep.Evals[b] != want.Evals[b] {
				t.Errorf("with %s: sample %d: expected %d evaluations, found %d", bad.Name, b, want.Evals[b], rep.Evals[b])
			}
		}
	}
}

func (c contract[T]) freezing(t *testing.T) {
	maps := c.easy(5)
	z, rep := c.solve(t, Batch(maps...), solvers.Settings{})
	for b, m := range maps {
		alone, one := c.solve(t, Batch(m), solvers.Settings{})
		if !slices.Equal(alone, z[b*8:(b+1)*8]) || one.Evals[0] != rep.Evals[b] {
			t.Errorf("sample %d: expected the same as alone (%d evaluations), found %d evaluations", b, one.Evals[0], rep.Evals[b])
		}
	}
}

// counting wraps the callbacks of p so that calls are counted by sample.
func counting[T solvers.Float](t *testing.T, p solvers.Problem[T]) (solvers.Problem[T], []int) {
	calls := make([]int, p.Batch)
	wrap := func(f func([]int, []T, []T) error) func([]int, []T, []T) error {
		return func(rows []int, x, y []T) error {
			if !slices.IsSorted(rows) || len(x) != len(rows)*p.Dim || len(y) != len(x) {
				t.Errorf("called with rows %v and %d, %d numbers", rows, len(x), len(y))
			}
			for _, b := range rows {
				calls[b]++
			}
			return f(rows, x, y)
		}
	}
	p.F, p.JVP, p.VJP = wrap(p.F), wrap(p.JVP), wrap(p.VJP)
	return p, calls
}

func (c contract[T]) counts(t *testing.T) {
	p, calls := counting(t, Batch(c.easy(5)...))
	_, rep := c.solve(t, p, solvers.Settings{History: true})
	if !slices.Equal(calls, rep.Evals) {
		t.Errorf("expected %v evaluations reported, found %v", calls, rep.Evals)
	}
	for b, h := range rep.History {
		if last := h[len(h)-1]; last.Evals != calls[b] || last.Residual != rep.Residual[b] {
			t.Errorf("sample %d: history ends with %+v, expected %d evaluations and residual %g", b, last, calls[b], rep.Residual[b])
		}
	}
}

// evaluationCap: no method spends more than it may. A dense one may leave what does not suffice for its n products.
func (c contract[T]) evaluationCap(t *testing.T) {
	maps := c.easy(6)
	for limit := 1; limit < 8; limit++ {
		_, rep := c.solve(t, Batch(maps[4:]...), solvers.Settings{MaxEvals: limit})
		for b, e := range rep.Evals {
			if rep.Status[b] == solvers.Converged {
				continue
			}
			if e < limit-8 || e > limit || rep.Status[b] != solvers.MaxEvals {
				t.Errorf("cap %d: sample %d ended with %v after %d evaluations", limit, b, rep.Status[b], e)
			}
		}
	}
}

func (c contract[T]) warmStart(t *testing.T) {
	maps := c.easy(3)
	p := Batch(maps...)
	z, rep := c.solve(t, p, solvers.Settings{})
	if rep.Failed() > 0 {
		t.Fatal(rep.Err())
	}
	again := slices.Clone(z)
	v := c.solver(t, p, solvers.Settings{})
	rep, err := v.Solve(context.Background(), p, again)
	if err != nil {
		t.Fatal(err)
	}
	// the others tell whether it rests or drifts
	if slices.Max(rep.Evals) > 8 || rep.Failed() > 0 || !slices.Equal(z, again) {
		t.Errorf("expected at most eight evaluations each and the same state, found %v evaluations, %v", rep.Evals, rep.Status)
	}
	fz := make([]T, len(z))
	if err := p.F([]int{0, 1, 2}, z, fz); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(fz, v.FZ()) {
		t.Error("FZ is not f at the best iterate")
	}
}

func (c contract[T]) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := Batch(Linear[T](0.999))
	f, calls := p.F, 0
	p.F = func(rows []int, z, fz []T) error {
		calls++
		cancel()
		return f(rows, z, fz)
	}
	z := make([]T, p.Dim)
	rep, err := c.solver(t, p, solvers.Settings{}).Solve(ctx, p, z)
	if !errors.Is(err, context.Canceled) || rep == nil || rep.Status[0] != solvers.Unfinished {
		t.Fatalf("expected a cancelled solve with a report, found %v, %v", rep, err)
	}
	calls = 0
	_, err = c.solver(t, p, solvers.Settings{}).Solve(ctx, p, z)
	if !errors.Is(err, context.Canceled) || calls != 0 {
		t.Errorf("expected no evaluation with a cancelled context, found %d, %v", calls, err)
	}
}

func (c contract[T]) callbackError(t *testing.T) {
	broken := errors.New("broken")
	p := Batch(c.easy(2)...)
	calls := 0
	f := p.F
	p.F = func(rows []int, z, fz []T) error {
		if calls++; calls == 2 {
			return broken
		}
		return f(rows, z, fz)
	}
	_, err := c.solver(t, p, solvers.Settings{}).Solve(context.Background(), p, make([]T, 16))
	if !errors.Is(err, broken) {
		t.Errorf("expected the callback's error, found %v", err)
	}
}

// repeatable solves on used memory, and a smaller batch on it.
func (c contract[T]) repeatable(t *testing.T) {
	maps := c.easy(4)
	p := Batch(maps...)
	want, rep := c.solve(t, p, solvers.Settings{})
	evals := slices.Clone(rep.Evals)
	v := c.solver(t, p, solvers.Settings{})
	if v.Bytes() <= 0 {
		t.Errorf("expected memory to be held, found %d bytes", v.Bytes())
	}
	for range 2 {
		z := make([]T, len(want))
		rep, err := v.Solve(context.Background(), p, z)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(z, want) || !slices.Equal(rep.Evals, evals) {
			t.Error("a second solve on the same memory differs")
		}
	}
	few := Batch(maps[:2]...)
	z := make([]T, 16)
	rep, err := v.Solve(context.Background(), few, z)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(z, want[:16]) || !slices.Equal(rep.Evals, evals[:2]) {
		t.Error("a solve of fewer samples differs")
	}
}

func (c contract[T]) allocations(t *testing.T) {
	maps := c.easy(4)
	maps[2] = Shift[T](8)
	p := Batch(maps...)
	v := c.solver(t, p, solvers.Settings{})
	z, ctx := make([]T, 32), context.Background()
	n := testing.AllocsPerRun(5, func() {
		clear(z)
		if _, err := v.Solve(ctx, p, z); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("expected no allocation per solve, found %v", n)
	}
}

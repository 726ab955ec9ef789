package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

// Result is what a case came to: medians of a run, in microseconds. What was not measured
// is nil.
type Result struct {
	Name         string   `json:"name"`
	Ours         float64  `json:"ours_us"`
	Gemm         *float64 `json:"gemm_us"`        // the bare products
	Tape         *float64 `json:"tape_us"`        // the TapeMachine
	OverGemm     *float64 `json:"over_gemm"`      // Ours over Gemm
	TapeOverOurs *float64 `json:"tape_over_ours"` // Tape over Ours
	Allocs       float64  `json:"allocs"`         // of ours, a run

	Evals        *Evaluations `json:"evals,omitempty"`
	RuleBytes    *int         `json:"rule_bytes,omitempty"`     // of the learning rule's own memory
	NSPerElement *float64     `json:"ns_per_element,omitempty"` // of ours
	GFlops       *float64     `json:"gflop_per_s,omitempty"`    // of ours
	OneCore      *float64     `json:"one_core_us,omitempty"`    // ours on one core where Ours has two
	OneOverTwo   *float64     `json:"one_core_over_two,omitempty"`
	Forward      *float64     `json:"forward_us,omitempty"`   // the forward pass in Ours
	OverForward  *float64     `json:"over_forward,omitempty"` // Ours over Forward
	OpenBLAS     *float64     `json:"openblas_us,omitempty"`
	OverOpenBLAS *float64     `json:"speed_over_openblas,omitempty"` // OpenBLAS over Ours
}

// Options say how to measure.
type Options struct {
	// Budget is the time that a case may take, after it has been compiled; no contestant
	// runs fewer than three times.
	Budget time.Duration `default:"1s"`
	// NoTape leaves the TapeMachine out, which takes most of the time.
	NoTape bool
	// OpenBLAS returns a run of C [m,n] = A·B [k,n] of that many times, in microseconds each, or is nil.
	OpenBLAS func(m, n, k, times int) (float64, error)
}

// Run measures the cases one after the other and hands each result to report. The process
// runs on one core for the while, but for the TapeMachine and the case of two. An error ends the
// run; what was measured by then is returned.
func Run(ctx context.Context, cases []Case, o Options, report func(Result)) ([]Result, error) {
	cores := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(cores)
	var all []Result
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		r, err := measure(ctx, c, o, cores)
		if err != nil {
			return all, fmt.Errorf("bench: %s: %w", c.Name, err)
		}
		all = append(all, r)
		if report != nil {
			report(r)
		}
	}
	return all, nil
}

// Contestant is one way to do a piece of work.
type Contestant struct {
	// Times does it n times and returns the time of one in microseconds.
	Times func(n int) (us float64, err error)

	n     int
	us    []float64
	spent time.Duration
}

// sample is how long a contestant runs at a time: long against the clock, short against the
// scheduler's slices, so that most samples see no other process.
const sample = 500 * time.Microsecond

// Timed is a contestant that runs a function.
func Timed(run func() error) *Contestant {
	return &Contestant{Times: func(n int) (float64, error) {
		began := time.Now()
		for range n {
			if err := run(); err != nil {
				return 0, err
			}
		}
		return float64(time.Since(began).Nanoseconds()) / 1e3 / float64(n), nil
	}}
}

// Race lets contestants run in turns for a time, each at least three times. A slow
// one does not hold the others up: it leaves off after its share.
func Race(ctx context.Context, budget time.Duration, all ...*Contestant) error {
	const least = 3
	for _, c := range all {
		if err := c.settle(); err != nil {
			return err
		}
	}
	share := budget / time.Duration(len(all))
	for busy := true; busy; {
		busy = false
		for _, c := range all {
			if len(c.us) >= least && c.spent >= share {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.sample(); err != nil {
				return err
			}
			busy = true
		}
	}
	return nil
}

// settle warms the contestant up and chooses how often it runs at a time.
func (c *Contestant) settle() error {
	for n := 1; ; n *= 2 {
		us, err := c.Times(n)
		if err != nil {
			return err
		}
		if total := us * float64(n); total >= float64(sample.Microseconds())/4 || n >= 1<<20 {
			c.n = max(1, int(float64(sample.Microseconds())/us))
			return nil
		}
	}
}

func (c *Contestant) sample() error {
	began := time.Now()
	us, err := c.Times(c.n)
	c.us = append(c.us, us)
	c.spent += time.Since(began)
	return err
}

// Median is that of the times of one piece of work, in microseconds.
func (c *Contestant) Median() float64 {
	us := slices.Sorted(slices.Values(c.us))
	n := len(us)
	return (us[(n-1)/2] + us[n/2]) / 2
}

// Least is the shortest of the times: on a machine that others use too, where long runs are
// interrupted more often than not, it says more than the median.
func (c *Contestant) Least() float64 { return slices.Min(c.us) }

// median is Median, or nil for nobody.
func (c *Contestant) median() *float64 {
	if c == nil {
		return nil
	}
	m := c.Median()
	return &m
}

func measure(ctx context.Context, c Case, o Options, cores int) (Result, error) {
	if o.Budget == 0 {
		o.Budget = time.Second
	}
	w, err := c.start()
	if err != nil {
		return Result{}, err
	}
	var all []*Contestant
	enter := func(run func() error) *Contestant {
		if run == nil {
			return nil
		}
		c := Timed(run)
		all = append(all, c)
		return c
	}
	ours, gemm, one, forward := enter(w.ours), enter(w.gemm), enter(w.oneCore), enter(w.forward)
	var tape, blas *Contestant
	if w.tape != nil && !o.NoTape {
		run, _, err := w.tape()
		if err != nil {
			return Result{}, fmt.Errorf("the TapeMachine: %w", err)
		}
		tape = enter(run)
		// The TapeMachine hands its work from thread to thread, for which one core is a handicap.
		onOne := tape.Times
		tape.Times = func(n int) (float64, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			return onOne(n)
		}
	}
	if w.m > 0 && o.OpenBLAS != nil {
		blas = &Contestant{Times: func(n int) (float64, error) { return o.OpenBLAS(w.m, w.n, w.k, n) }}
		all = append(all, blas)
	}
	if err := Race(ctx, o.Budget, all...); err != nil {
		return Result{}, err
	}
	r := Result{Name: c.Name, Ours: *ours.median(), Gemm: gemm.median(), Tape: tape.median(), OneCore: one.median(), OpenBLAS: blas.median(), Forward: forward.median(), Evals: w.evaluations, RuleBytes: w.bytes}
	r.OverGemm, r.TapeOverOurs = ratio(&r.Ours, r.Gemm), ratio(r.Tape, &r.Ours)
	r.OneOverTwo, r.OverOpenBLAS = ratio(r.OneCore, &r.Ours), ratio(r.OpenBLAS, &r.Ours)
	r.OverForward = ratio(&r.Ours, r.Forward)
	if w.elements > 0 {
		ns := r.Ours * 1e3 / float64(w.elements)
		r.NSPerElement = &ns
	}
	if w.m > 0 {
		rate := 2 * float64(w.m) * float64(w.n) * float64(w.k) / r.Ours / 1e3
		r.GFlops = &rate
	}
	r.Allocs, err = allocations(w.ours)
	return r, err
}

func ratio(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	q := *a / *b
	return &q
}

// allocations counts those of one run: the least of several, for other goroutines allocate too.
func allocations(run func() error) (float64, error) {
	least := math.Inf(1)
	var before, after runtime.MemStats
	for range 5 {
		runtime.ReadMemStats(&before)
		if err := run(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs))
	}
	return least, nil
}

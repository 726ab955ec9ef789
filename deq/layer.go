// Package deq compiles a model to a layer and solves it: the equilibrium z* = f(z*, x), the
// trajectory of the same cell through time, and the derivatives of both.
package deq

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"attractor/internal/budget"
	"attractor/internal/engine"
	"attractor/internal/options"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/tensor"
)

// Config says how a layer is compiled.
type Config struct {
	Batch   int    `default:"64" doc:"largest number of samples in a batch"`
	Shard   int    `default:"32" doc:"samples that one core solves at a time; results do not depend on the number of cores, only on this"`
	Workers int    `doc:"cores to use; 0 means all of GOMAXPROCS"`
	Engine  string `default:"fast" doc:"executor of the graphs: our own, or Gorgonia's TapeMachine" choices:"fast,tape"`
}

// dims are the sizes that a model and a task fix.
type dims struct {
	inputs, outputs int
	params          []models.Param
}

// Layer is a compiled model with its parameters. One goroutine may use it, its equilibria and its
// trajectories at a time; others get ErrConcurrent.
type Layer[T Float] struct {
	Model   models.Model
	Inputs  int
	Units   int
	Outputs int
	Params  Params[T] // to be read; they change in Update

	config  Config
	dims    dims
	shards  []*shard[T]
	busy    atomic.Bool       // some goroutine computes
	version uint64            // of the parameters
	state   atomic.Uint64     // of the parameters and the masks, from 1: what was made in another one is stale
	states  uint64            // how many there were
	memory  Params[T]         // the parameters whose memory the programs read
	guard   *guard[T]         // nil but in tests
	masks   []mask[T]         // of dropout
	drawn   uint64            // how often the masks have changed
	weights engine.Weights[T] // packed
	points  atomic.Uint64     // ids given out
	pulls   map[int]*unit[T]  // by synapse, from its weights to their parameters
	tally   tally             // of evaluations, but for those of a twin with other weights
	twin    *Layer[T]         // nil until first asked for
	source  *Layer[T]         // what a twin is one of
	origin  uint64            // the state of the source that a twin was made in
	foreign foreign           // which weights of a twin are not those of its source
	leak    float64           // the α of the cell
	form    func() error      // why the cell has no pre-activation, looked at once

	resolvent resolvent // for splitting methods
}

// New compiles m for a task of the given widths, with parameters drawn from seed. A layer that does
// not fit in the memory that is left is a *[budget.Error], sizes whose product overflows are a
// *[budget.CountError].
func New[T Float](m models.Model, inputs, outputs int, seed uint64, c Config) (*Layer[T], error) {
	c = options.WithDefaults(c)
	if c.Batch < 1 || c.Shard < 1 || c.Workers < 0 {
		return nil, fmt.Errorf("deq: batch %d, shard %d, workers %d: expected positive numbers", c.Batch, c.Shard, c.Workers)
	}
	if inputs < 1 || outputs < 1 || m.Units() < 1 {
		return nil, fmt.Errorf("deq: %d inputs, %d units, %d outputs: expected positive numbers", inputs, m.Units(), outputs)
	}
	c.Shard = min(c.Shard, c.Batch)
	if err := checkSize[T](m, inputs, outputs, c); err != nil {
		return nil, fmt.Errorf("deq: %w", err)
	}
	l := &Layer[T]{
		Model: m, Inputs: inputs, Units: m.Units(), Outputs: outputs,
		Params: NewParams[T](m, inputs, outputs, seed),
		config: c, dims: dims{inputs: inputs, outputs: outputs, params: m.Params(inputs, outputs)},
		version: 1,
	}
	l.memory = slices.Clone(l.Params)
	l.changed()
	l.form = sync.OnceValue(func() error { return checkForm(m, l.dims) })
	l.makeShards()
	// The cell and the readout are compiled at once, so that a model which cannot be is
	// refused here; the rest is when first needed.
	for _, f := range []function{cell, readout} {
		u, err := l.shards[0].program(f)
		if err != nil {
			return nil, err
		}
		if err := l.takeMasks(u.expr); err != nil {
			return nil, fmt.Errorf("deq: %w", err)
		}
	}
	l.leak = l.shards[0].units[cell].expr.leak
	return l, nil
}

// checkSize refuses a layer that does not fit in memory, before any of it is made: parameters and
// packed weights, the numbers from which they are made in float64, and the states of a batch.
func checkSize[T Float](m models.Model, inputs, outputs int, c Config) error {
	largest, sum := 0, 0
	for _, p := range m.Params(inputs, outputs) {
		n, err := budget.Product(p.Shape...)
		if err == nil {
			sum, err = budget.Sum(sum, n)
		}
		if err != nil {
			return fmt.Errorf("parameter %s of shape %v: %w", p.Name, p.Shape, err)
		}
		largest = max(largest, n)
	}
	states, err := budget.Product(c.Batch, max(m.Units(), inputs, outputs), 4*sizeof[T]())
	if err != nil {
		return fmt.Errorf("a batch of %d samples: %w", c.Batch, err)
	}
	const perShard = 1 << 10
	need := float64(sum)*float64(sizeof[T]()) + max(float64(sum)*float64(sizeof[T]()), 8*float64(largest)) +
		float64(states) + perShard*float64((c.Batch-1)/c.Shard+1)
	return budget.Fit(need, fmt.Sprintf("a layer of %d inputs, %d units and %d outputs for a batch of %d", inputs, m.Units(), outputs, c.Batch), "use fewer units or a smaller batch")
}

// makeShards divides the batch; their programs are compiled when first needed.
func (l *Layer[T]) makeShards() {
	for start := 0; start < l.config.Batch; start += l.config.Shard {
		l.shards = append(l.shards, &shard[T]{layer: l, start: start, capacity: min(l.config.Shard, l.config.Batch-start)})
	}
}

// InCell reports whether the cell reads the i-th parameter, as it may do with one of the readout.
func (l *Layer[T]) InCell(i int) bool { return l.shards[0].units[cell].expr.theta[i] != nil }

// Noisy reports whether the model has noise, which it has through time and not at equilibria.
func (l *Layer[T]) Noisy() bool {
	u, err := l.shards[0].program(cell)
	return err == nil && len(u.expr.noises) > 0
}

// LeakRate is the α of a cell (1−α)z + α(…), 1 of one without a leak.
func (l *Layer[T]) LeakRate() float64 { return l.leak }

// Batch is the largest number of samples of one solve.
func (l *Layer[T]) Batch() int { return l.config.Batch }

// Bytes is the memory of the parameters, the programs and the solvers, with those of the twin.
func (l *Layer[T]) Bytes() int {
	n := l.Params.Bytes() + l.weights.Bytes() + l.resolvent.bytes()
	for _, m := range l.masks {
		n += len(m.data) * sizeof[T]()
	}
	for _, s := range l.shards {
		n += s.bytes()
	}
	if l.twin != nil {
		n += l.twin.Bytes()
	}
	return n
}

// ErrConcurrent says that a layer, or an equilibrium or a trajectory of it, was used while another
// goroutine used it: its programs and solvers have one memory. What that one gets is right.
var ErrConcurrent = errors.New("deq: the layer is in use by another goroutine: give each goroutine a layer of its own, or let them take turns")

// take makes the layer, with its twin, the caller's until done, for what was made in the given state, or 0. It fails with
// ErrConcurrent or ErrStale.
func (l *Layer[T]) take(made uint64) error {
	owner := l
	if l.source != nil {
		owner = l.source
	}
	if !owner.busy.CompareAndSwap(false, true) {
		return ErrConcurrent
	}
	err := l.fresh(made)
	if err != nil {
		owner.busy.Store(false)
	}
	return err
}

func (l *Layer[T]) done() {
	if l.source != nil {
		l = l.source
	}
	l.busy.Store(false)
}

// each takes the layer and runs work on it, for what was made in the given state, or 0.
func (l *Layer[T]) each(made uint64, rows int, work func(s *shard[T], n int) error) error {
	if err := l.take(made); err != nil {
		return err
	}
	defer l.done()
	return l.run(rows, work)
}

// run runs work on the shards that hold the first rows samples, on as many cores as
// configured, and returns the errors. The layer has been taken.
func (l *Layer[T]) run(rows int, work func(s *shard[T], n int) error) error {
	var active []*shard[T]
	for _, s := range l.shards {
		if s.start < rows {
			active = append(active, s)
		}
	}
	workers := l.config.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	try := func(s *shard[T]) (err error) {
		defer panicAsError("shard", &err) // on a goroutine of its own it would end the process
		return work(s, min(s.capacity, rows-s.start))
	}
	if min(workers, len(active)) <= 1 {
		for _, s := range active {
			if err := try(s); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(active))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, len(active)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(active)); i = next.Add(1) - 1 {
				errs[i] = try(active[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Solver is a method with its stopping rule, for the forward or the adjoint problem.
type Solver[T Float] struct {
	Method   solvers.Method[T]
	Settings solvers.Settings
}

func dtypeOf[T Float]() tensor.Dtype {
	if sizeof[T]() == 4 {
		return tensor.Float32
	}
	return tensor.Float64
}

// Activation is the name of the cell's activation, empty if it has several.
func (l *Layer[T]) Activation() string {
	u, err := l.shards[0].program(cell)
	if err != nil {
		return ""
	}
	return u.expr.activation
}

// SingleActivation reports why Gain, Recurrent, RecurrentAdjoint, PreVJP, NudgePre and DisplacePre cannot be had: they
// need a cell (1−α)z + αφ(pre), 0 < α ≤ 1, with one activation φ and pre affine in z and x, in which parameters act
// through pre alone. However the cell is written, the form is shown on its graph or, where that does not tell, tried at
// random states, inputs and parameters.
func (l *Layer[T]) SingleActivation() error { return l.form() }

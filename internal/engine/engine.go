// Package engine compiles Gorgonia expressions to programs.
//
// A [Program] has inputs of different rates of change and outputs; it runs the part of the
// expression that belongs to one rate at a time, on the first rows of a batch, and
// allocates nothing while it runs. [Compile] is the engine proper; [CompileTape] puts
// Gorgonia's TapeMachine behind the same face, as the reference to test against.
//
// Compile reads the nodes (decode.go, geometry.go, value.go), rewrites the expression so that what
// changes slowly is combined first and products of matrices accumulate (simplify.go),
// finds out which values keep samples apart (rows.go), fuses elementwise operations
// (fuse.go), orders the work rate by rate with the fused operations on the blocks of the
// matrix products that they follow (schedule.go), shares buffers (memory.go), and makes
// closures over the kernels (program.go, emit.go, fused.go, …).
package engine

import (
	"fmt"
	"io"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
)

// Rate says how often an input changes. A node changes as often as the fastest of its
// inputs, and is computed by Run of that rate.
type Rate uint8

// Rates, from slow to fast.
const (
	Constant      Rate = iota // never: constants of the graph
	Parameters                // once per update
	Batch                     // once per batch
	State                     // at every evaluation of the cell
	Linearisation             // once per solution at which the cell is linearised
	Cotangent                 // at every adjoint product

	rates = int(Cotangent) + 1
)

var rateNames = [rates]string{"constant", "parameters", "batch", "state", "linearisation", "cotangent"}

func (r Rate) String() string {
	if int(r) < rates {
		return rateNames[r]
	}
	return fmt.Sprintf("rate(%d)", uint8(r))
}

// Input declares an input node of the graph. An input of rate Batch or faster has the
// batch on axis 0. An inner node may be an input as well: its value is then bound instead
// of being computed.
type Input struct {
	Node *gorgonia.Node
	Rate Rate
}

// Options tell what may change between runs.
type Options struct {
	// Inputs lists the inputs that are bound. An input that is not listed keeps the value
	// its node has; having none is an error of compilation.
	Inputs []Input
	// Rows is the size of the batch axis. 0: the size of axis 0 of the first input of
	// rate Batch or faster.
	Rows int
}

// given is the set of the inputs.
func (o Options) given() map[*gorgonia.Node]bool {
	set := make(map[*gorgonia.Node]bool)
	for _, in := range o.Inputs {
		set[in.Node] = true
	}
	return set
}

// Program is a compiled expression. It is not safe for use by several goroutines; different
// programs are, also when they are bound to the same parameters.
//
// After a change of inputs the caller runs the rates concerned in ascending order, for
// instance Run(Parameters, n) after an update, Run(Batch, n) for a new batch, then
// Run(State, n) at every evaluation.
type Program[T kernels.Float] interface {
	// Bind makes n read from data, which is not copied and may be bound anew at any time.
	// An input of rate Batch or faster may be bound to fewer rows than the batch has.
	// Binding an input that the outputs do not depend on is fine. Data must not be memory that
	// Out has returned: an output may be written before the inputs have been read.
	//
	// Data of row-indexed inputs is read during Run of the input's own rate only; later runs
	// of faster rates read a copy, which Compact moves. Data of parameters is read at
	// any time.
	Bind(n *gorgonia.Node, data []T) error

	// Share makes the program use packed parameters of w, which other programs share, instead of
	// packing its own. Call it before the first Run; Changed of w before a Run of
	// rate Parameters that is to see new values.
	Share(w *Weights[T])

	// Run computes the nodes of exactly rate r on the first rows samples; rows is of no consequence
	// for a rate below Batch. It reads what slower rates have computed.
	//
	// Fewer rows than the batch has are an error if the program is not row by row. A sum over
	// the batch is one over the rows run; divisors of means are those of the whole batch. A
	// row comes out with the same bits however many others run.
	Run(r Rate, rows int) error

	// Compact moves row keep[i] to row i in everything that earlier runs have kept for later
	// ones, for samples have left the batch. keep ascends. Memory that the caller has
	// bound is the caller's to compact. Sums over the batch that slower rates have computed
	// still count the samples that left, until their rate is run again. It panics if keep
	// does not ascend or if the program is not row by row.
	Compact(keep []int)

	// Out returns the memory of output i, whole: rows beyond those run hold nothing of
	// meaning. It is valid until the next Run; outputs of different rates stay valid until the
	// next Run of their own rate.
	Out(i int) []T

	// Into makes later runs leave output i in dst, which overlaps none of the inputs, instead of the
	// program's own memory; with nil they go back to that. dst holds as many rows as are run. It
	// reports whether the program can, which it can for outputs of the fastest rate: if not
	// nothing changes.
	Into(i int, dst []T) bool

	// Bytes returns the memory held in buffers and packed weights, without shared ones.
	Bytes() int

	// RowWise returns nil if the program may run on a part of its rows, otherwise what mixes
	// the rows.
	RowWise() error

	// Explain writes the program as compiled.
	Explain(w io.Writer)
}

// batchRows returns the size of the batch axis and checks the declared inputs against it.
func batchRows(o Options) (int, error) {
	rows := o.Rows
	for _, in := range o.Inputs {
		if in.Node == nil {
			return 0, fmt.Errorf("engine: an input is nil")
		}
		if in.Rate == Constant || int(in.Rate) >= rates {
			return 0, fmt.Errorf("engine: input %v has rate %v", in.Node, in.Rate)
		}
		if in.Rate < Batch {
			continue
		}
		shape := in.Node.Shape()
		if shape.Dims() == 0 {
			return 0, fmt.Errorf("engine: input %v of rate %v is a scalar and has no batch axis", in.Node, in.Rate)
		}
		if rows == 0 {
			rows = shape[0]
		}
		if shape[0] != rows {
			return 0, fmt.Errorf("engine: input %v of rate %v has %d rows on axis 0, the batch has %d", in.Node, in.Rate, shape[0], rows)
		}
	}
	return rows, nil
}

// checkBinding verifies the length of data bound to an input of a given size and rate, in a batch of
// so many rows.
func checkBinding(n *gorgonia.Node, r Rate, length, size, rows int) error {
	if r < Batch {
		if length != size {
			return fmt.Errorf("engine: bind %v of shape %v: %d numbers, want %d", n, n.Shape(), length, size)
		}
		return nil
	}
	row := size / max(1, rows)
	if length > size || row > 0 && length%row != 0 {
		return fmt.Errorf("engine: bind %v of shape %v: %d numbers, want at most %d in rows of %d", n, n.Shape(), length, size, row)
	}
	return nil
}

// checkKeep panics if keep is no ascending selection of rows below limit, or leaves rows out of a
// program that is not row by row.
func checkKeep(keep []int, limit int, rowWise error) {
	last := -1
	for i, k := range keep {
		if k <= last || k >= limit {
			panic(fmt.Sprintf("engine: keep[%d] = %d after %d of %d rows", i, k, last, limit))
		}
		last = k
	}
	if rowWise != nil && last != len(keep)-1 {
		panic(fmt.Sprintf("engine: compact a program that is not row by row: %v", rowWise))
	}
}

// volume is the number of elements of a shape; 1 for a scalar.
func volume(s tensor.Shape) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// dtypeOf returns the tensor type of T.
func dtypeOf[T kernels.Float]() tensor.Dtype {
	var zero T
	if _, ok := any(zero).(float32); ok {
		return tensor.Float32
	}
	return tensor.Float64
}

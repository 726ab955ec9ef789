package engine

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// guarded is an op in a private graph of a tape program. It does what the op does, except
// that a panic becomes an error, and that its hash is its own, so that neither graph
// building nor the TapeMachine's compiler merges it with another one.
//
// It also repairs one fault of the TapeMachine. Reshape returns the memory of its operand, but the
// register allocator takes the operand for dead after its last direct use, and lets a later
// op overwrite it while the reshaped value is still to be read. Guarded, Reshape copies.
type guarded struct {
	op      gorgonia.Op
	id      int
	aliases bool // the result shares memory with operand 0
}

// guard wraps an op.
func guard(op gorgonia.Op, id int) guarded {
	return guarded{op: op, id: id, aliases: fieldsOf(op).value.Type().Name() == "reshapeOp"}
}

func (g guarded) Arity() int            { return g.op.Arity() }
func (g guarded) Type() hm.Type         { return g.op.Type() }
func (g guarded) ReturnsPtr() bool      { return g.op.ReturnsPtr() }
func (g guarded) CallsExtern() bool     { return g.op.CallsExtern() }
func (g guarded) WriteHash(h hash.Hash) { fmt.Fprintf(h, "attractor/%d", g.id) }
func (g guarded) String() string        { return g.op.String() }

func (g guarded) OverwritesInput() int {
	if g.aliases {
		return -1
	}
	return g.op.OverwritesInput()
}

func (g guarded) InferShape(s ...gorgonia.DimSizer) (tensor.Shape, error) {
	return g.op.InferShape(s...)
}

func (g guarded) Hashcode() uint32 {
	h := fnv.New32a()
	g.WriteHash(h)
	return h.Sum32()
}

// recoverInto turns a panic of op into an error.
func recoverInto(err *error, op gorgonia.Op) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("engine: op %v (%T) panicked: %v", op, op, r)
	}
}

func (g guarded) Do(v ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer recoverInto(&err, g.op)
	if g.aliases {
		own, err := gorgonia.CloneValue(v[0])
		if err != nil {
			return nil, fmt.Errorf("engine: op %v: %w", g.op, err)
		}
		return g.op.Do(own)
	}
	return g.op.Do(v...)
}

// UsePreallocDo falls back to Do as the TapeMachine does.
func (g guarded) UsePreallocDo(prealloc gorgonia.Value, v ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer recoverInto(&err, g.op)
	if op, ok := g.op.(gorgonia.UsePreallocDoer); ok && !g.aliases {
		return op.UsePreallocDo(prealloc, v...)
	}
	return g.Do(v...)
}

func (g guarded) UnsafeDo(v ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer recoverInto(&err, g.op)
	if op, ok := g.op.(gorgonia.UnsafeDoer); ok && !g.aliases {
		return op.UnsafeDo(v...)
	}
	return g.Do(v...)
}

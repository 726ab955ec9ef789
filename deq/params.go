package deq

import (
	"fmt"
	"runtime"
	"slices"

	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"
)

// Float is the number type of a layer: float32 to train, float64 for theory and checks.
type Float = kernels.Float

// Tensor is one parameter of a model, or its gradient, row by row.
type Tensor[T kernels.Float] struct {
	models.Param
	Data []T
}

// Params are the parameters of a model in the order of its Params method, or their
// gradients.
type Params[T kernels.Float] []Tensor[T]

// NewParams draws the initial parameters. Each has a random stream of its own, so that
// it does not depend on which others there are, nor on the number type.
func NewParams[T kernels.Float](m models.Model, inputs, outputs int, seed uint64) Params[T] {
	return Draw[T](m.Params(inputs, outputs), seed, "init/")
}

// Draw draws the initial values of parameters, each by the random stream of its name, or the
// one it shares with others, behind the prefix.
func Draw[T kernels.Float](list []models.Param, seed uint64, prefix string) Params[T] {
	var params Params[T]
	var memory []float64 // of draws of another type, which all parameters share
	for _, p := range list {
		if sizeof[T]() < 8 {
			memory = slices.Grow(memory[:0], p.Len())
		} else {
			memory = make([]float64, p.Len())
		}
		draws := memory[:p.Len()]
		clear(draws)
		stream := p.Name
		if s, ok := p.Init.(models.Shared); ok {
			stream = s.Stream()
		}
		p.Init.Draw(rng.Stream(seed, prefix+stream), p.Shape, draws)
		data, same := any(draws).([]T)
		if !same {
			data = make([]T, len(draws))
			for i, v := range draws {
				data[i] = T(v)
			}
		}
		params = append(params, Tensor[T]{Param: p, Data: data})
	}
	const large = 1 << 23
	if cap(memory) > large {
		memory = nil
		runtime.GC() // what comes next takes its place
	}
	return params
}

// ZerosLike returns tensors of the same names and shapes that are 0.
func (p Params[T]) ZerosLike() Params[T] {
	out := slices.Clone(p)
	for i := range out {
		out[i].Data = make([]T, len(out[i].Data))
	}
	return out
}

// Clear sets all entries to 0.
func (p Params[T]) Clear() {
	for _, t := range p {
		clear(t.Data)
	}
}

// CopyFrom copies the values of q, which must have the same tensors.
func (p Params[T]) CopyFrom(q Params[T]) {
	if len(p) != len(q) {
		panic(fmt.Sprintf("deq: copy %d parameters to %d", len(q), len(p)))
	}
	for i := range p {
		if len(p[i].Data) != len(q[i].Data) {
			panic(fmt.Sprintf("deq: copy %d numbers of %s to %d of %s", len(q[i].Data), q[i].Name, len(p[i].Data), p[i].Name))
		}
		copy(p[i].Data, q[i].Data)
	}
}

// Into copies the values to q, which must have the same tensors, as in l.Update(p.Into).
func (p Params[T]) Into(q Params[T]) error {
	q.CopyFrom(p)
	return nil
}

// Data returns the entries of the tensor with that name. It panics if there is none.
func (p Params[T]) Data(name string) []T {
	for _, t := range p {
		if t.Name == name {
			return t.Data
		}
	}
	panic(fmt.Sprintf("deq: no parameter %q", name))
}

// Bytes is the memory of the entries.
func (p Params[T]) Bytes() int {
	n := 0
	for _, t := range p {
		n += len(t.Data)
	}
	return n * sizeof[T]()
}

func sizeof[T kernels.Float]() int {
	if _, is32 := any(T(0)).(float32); is32 {
		return 4
	}
	return 8
}

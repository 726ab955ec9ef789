package deq

import (
	"slices"
	"sync/atomic"

	"attractor/models"
)

// Counts are evaluations, each for one sample: a batch of 64 counts 64.
type Counts struct {
	Cell    int64 // f
	Adjoint int64 // Jᵀu
	Tangent int64 // J v, and the products with W alone
}

// Total is the number of all evaluations.
func (c Counts) Total() int64 { return c.Cell + c.Adjoint + c.Tangent }

// Sub returns c − d.
func (c Counts) Sub(d Counts) Counts {
	return Counts{Cell: c.Cell - d.Cell, Adjoint: c.Adjoint - d.Adjoint, Tangent: c.Tangent - d.Tangent}
}

// Reads are evaluations apart by what of the network they read, each for one sample. They are
// how the claims of learning rules about what they need are checked.
type Reads struct {
	Cell              int64 // f and its pre-activation, also of a twin: the dynamics are run
	Tangent           int64 // J v and v·Wᵀ: products with the recurrent weights
	Transposed        int64 // Jᵀu, u·W and derivatives of them: products with their transpose
	Synaptic          int64 // φ′ ⊙ v and uᵀ ∂f/∂θ
	Readout           int64 // y
	ReadoutTransposed int64 // uᵀ ∂y/∂z
	Solves            int64 // adjoint and other linear systems, and products with the inverse that a solver keeps
	Other             int64 // anything else of a twin, with weights that are not the network's
}

// Sub returns r − q.
func (r Reads) Sub(q Reads) Reads {
	return Reads{
		Cell: r.Cell - q.Cell, Tangent: r.Tangent - q.Tangent, Transposed: r.Transposed - q.Transposed,
		Synaptic: r.Synaptic - q.Synaptic, Readout: r.Readout - q.Readout,
		ReadoutTransposed: r.ReadoutTransposed - q.ReadoutTransposed, Solves: r.Solves - q.Solves,
		Other: r.Other - q.Other,
	}
}

// tally counts the evaluations of every function, each for one sample, and the solves.
type tally struct {
	evals  [functions]atomic.Int64
	solves atomic.Int64
}

func (t *tally) of(list ...function) int64 {
	n := int64(0)
	for _, f := range list {
		n += t.evals[f].Load()
	}
	return n
}

// foreign says which weights of a twin are not those of the layer that it is a twin of.
type foreign struct{ recurrent, readout bool }

func differences[T Float](p, q Params[T]) (f foreign) {
	for i := range p {
		switch same := slices.Equal(p[i].Data, q[i].Data); p[i].Role {
		case models.Recurrent:
			f.recurrent = f.recurrent || !same
		case models.Readout:
			f.readout = f.readout || !same
		}
	}
	return f
}

// count counts what a twin does with the weights of its source among what that one does.
func (l *Layer[T]) count(f function, rows int) {
	t, other := &l.tally, l.foreign.recurrent
	if f.ofReadout() {
		other = l.foreign.readout
	}
	if l.source != nil && !other {
		t = &l.source.tally
	}
	t.evals[f].Add(int64(rows))
}

// Account adds what a caller has computed from Params by itself, without the layer's
// functions, to the counts.
func (l *Layer[T]) Account(r Reads) {
	for f, n := range map[function]int64{
		cell: r.Cell, tangent: r.Tangent, adjoint: r.Transposed, gradient: r.Synaptic,
		readout: r.Readout, readoutAdjoint: r.ReadoutTransposed,
	} {
		l.tally.evals[f].Add(n)
	}
	l.tally.solves.Add(r.Solves)
}

// Counts returns the evaluations made so far, with those of a twin.
func (l *Layer[T]) Counts() Counts {
	r := l.tally.reads()
	c := Counts{Cell: r.Cell, Adjoint: r.Transposed, Tangent: r.Tangent}
	if l.twin != nil {
		t := l.twin.Counts()
		c.Cell, c.Adjoint, c.Tangent = c.Cell+t.Cell, c.Adjoint+t.Adjoint, c.Tangent+t.Tangent
	}
	return c
}

// Reads returns the evaluations made so far, by what they read.
func (l *Layer[T]) Reads() Reads {
	r := l.tally.reads()
	if l.twin != nil {
		t := &l.twin.tally
		for f := range functions {
			r.Other += t.of(f)
		}
		runs := t.of(cell, preActivation, step)
		r.Cell, r.Other = r.Cell+runs, r.Other-runs
	}
	return r
}

func (t *tally) reads() Reads {
	return Reads{
		Cell:              t.of(cell, preActivation, step),
		Tangent:           t.of(tangent, recurrent),
		Transposed:        t.of(adjoint, pullback, recurrentAdjoint, jacobianNorm, stepAdjoint, stepInputs, tangentPullback, tangentPullbackCut),
		Synaptic:          t.of(gain, gradient, pullback, preGradient, adjointCut, stepCut, stepUnit, stepGradient, stepCutGradient, local, tangentPullback, tangentPullbackCut, tangentPullbackFrozen),
		Readout:           t.of(readout, rates, stepReadout),
		ReadoutTransposed: t.of(readoutAdjoint, readoutGradient, stepReadoutGradient),
		Solves:            t.solves.Load(),
	}
}

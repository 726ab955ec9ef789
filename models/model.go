// Package models defines the cells: recurrent and deep-equilibrium architectures as
// Gorgonia expressions. A model holds options, never tensors; package deq compiles it and
// keeps its parameters.
//
// A new architecture is one file: a struct with its options as tagged fields, the
// four methods of Model, and an entry in Catalog.
package models

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"
)

// Model is an architecture. Its cell f is both the map whose fixed point z* = f(z*, x) is
// the answer and one step of the network through time.
//
// Cell and Readout build expressions with the operations of the Scope, which keeps the
// first error; they must build the same expressions on every call.
type Model interface {
	// Units is the width n of the state z.
	Units() int
	// Params lists the parameters for a task of the given input and output widths.
	Params(inputs, outputs int) []Param
	// Cell returns f(z, x) [batch, n] for z [batch, n] and x [batch, inputs].
	Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node
	// Readout returns y [batch, outputs] for z [batch, n].
	Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node
}

// Slotted is a Model whose units have several variables each: its state is [slot 0 | slot 1 | …],
// each slot with one variable of every unit.
type Slotted interface {
	Model
	Slots() int
}

// Slots is the number of variables of each unit.
func Slots(m Model) int {
	if s, ok := m.(Slotted); ok {
		return s.Slots()
	}
	return 1
}

// Typed is a Model whose units are of several kinds, as those that excite and those that inhibit.
type Typed interface {
	Model
	Types() []int // the kind of every unit, from 0; nil if the options make no difference between them
}

// Types are the kinds of the units, nil if the model makes no difference between them.
func Types(m Model) []int {
	if t, ok := m.(Typed); ok {
		return t.Types()
	}
	return nil
}

// Role says what a parameter does, so that a setting can choose what is trained.
type Role uint8

const (
	Recurrent Role = iota // acts on the state: W
	Bias                  // of the units: b
	Input                 // acts on the input: U
	Readout               // from the state to the output: Wo, bo
)

// OfCell reports whether the parameter belongs to the cell rather than to the readout.
func (r Role) OfCell() bool { return r != Readout }

func (r Role) String() string {
	switch r {
	case Recurrent:
		return "recurrent"
	case Bias:
		return "bias"
	case Input:
		return "input"
	case Readout:
		return "readout"
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// Param is a parameter of a model: a matrix [rows, columns] or a vector [columns].
type Param struct {
	Name  string
	Shape []int
	Role  Role
	Init  Init
}

// Len is the number of its entries.
func (p Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Init draws the initial value of a parameter of the given shape into dst. Values are
// drawn in float64 whatever the training precision, so that both start at the same
// network.
type Init interface {
	Draw(r *rand.Rand, shape []int, dst []float64)
}

// Shared is an initial value that parameters draw from one stream of random numbers, rather than each
// from its own: they then see the same draws.
type Shared interface {
	Init
	Stream() string // its name
}

// Zeros is the initial value 0.
type Zeros struct{}

// Draw implements Init.
func (Zeros) Draw(_ *rand.Rand, _ []int, dst []float64) { clear(dst) }

// Constant is the same initial value for every entry.
type Constant struct{ Value float64 }

// Draw implements Init.
func (i Constant) Draw(_ *rand.Rand, _ []int, dst []float64) {
	for k := range dst {
		dst[k] = i.Value
	}
}

// Normal draws every entry from N(0, Gain²/columns): the circular law then puts the
// eigenvalues of a square matrix in the disc of radius Gain.
type Normal struct{ Gain float64 }

// Draw implements Init.
func (i Normal) Draw(r *rand.Rand, shape []int, dst []float64) {
	sd := i.Gain / math.Sqrt(float64(shape[len(shape)-1]))
	for k := range dst {
		dst[k] = sd * r.NormFloat64()
	}
}

// Parametrized is a Model that may make weights of its cell out of parameters, by masks, signs or norms. Where it does, a run keeps
// the weights beside the parameters in its checkpoints.
type Parametrized interface{ Parametrized() bool }

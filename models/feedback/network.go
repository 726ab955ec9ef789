// Package feedback simulates large networks with feedback loops from their readout,
//
//	dx/dt = −x + Wφ(x) + M z + U·input,   z = nφ(x),   φ = tanh
//
// for several states of one network at a time, by Euler's method and by that of Runge and Kutta, and
// finds the outliers of their spectra. models.Feedback is the same network as a cell that can
// be trained, models/meanfield its theory.
package feedback

import (
	"fmt"

	"attractor/internal/kernels"
)

// Network holds the weights of a network without its readout. It may be used from many goroutines
// at once.
type Network[T kernels.Float] struct {
	Units, Loops, Inputs int
	M                    []T // feedback vectors [loops, units]
	U                    []T // input vectors [inputs, units]

	w kernels.Packed[T] // Wᵀ
}

// New makes a network of the parameters of models.Feedback: W [units, units], M [units, loops] and U [units,
// inputs].
func New[T kernels.Float](units int, w, m, u []T) (*Network[T], error) {
	if units < 1 || len(w) != units*units || len(m) == 0 || len(m)%units != 0 || len(u)%units != 0 {
		return nil, fmt.Errorf("feedback: W, M and U of %d, %d and %d numbers: expected rows of %d units, and at least one loop", len(w), len(m), len(u), units)
	}
	n := &Network[T]{Units: units, Loops: len(m) / units, Inputs: len(u) / units}
	n.M, n.U = transposed(units, n.Loops, m), transposed(units, n.Inputs, u)
	n.w.Pack(true, units, units, w, units)
	return n, nil
}

func transposed[T kernels.Float](rows, cols int, a []T) []T {
	t := make([]T, len(a))
	for i := range rows {
		for j := range cols {
			t[j*rows+i] = a[i*cols+j]
		}
	}
	return t
}

// Drive writes φWᵀ + zM + input·U to out [rows, units], for the rates φ [rows, units], readouts z [rows, loops]
// and inputs [rows, inputs] of any states: what x decays to.
func (n *Network[T]) Drive(rates, z, input, out []T) {
	rows := len(out) / n.Units
	if len(rates) != len(out) || len(out) != rows*n.Units || len(z) != rows*n.Loops || len(input) != rows*n.Inputs {
		panic(fmt.Sprintf("feedback: %d rates, %d readouts and %d inputs for %d states of %d units, %d loops and %d inputs",
			len(rates), len(z), len(input), rows, n.Units, n.Loops, n.Inputs))
	}
	kernels.GemmPacked(rows, rates, n.Units, &n.w, 0, out, n.Units, nil)
	kernels.Gemm(false, false, rows, n.Units, n.Loops, z, n.Loops, n.M, n.Units, 1, out, n.Units)
	if n.Inputs > 0 {
		kernels.Gemm(false, false, rows, n.Units, n.Inputs, input, n.Inputs, n.U, n.Units, 1, out, n.Units)
	}
}

// Reader reads z [loops] out of the rates [units] of one state: it closes the loop. It is
// called for the states in their order, once for each evaluation of dx/dt, and may change what it reads
// with, which is how a readout is trained while the network runs.
type Reader[T kernels.Float] func(row int, rates, z []T)

// Linear reads out with the weights n [loops, units].
func Linear[T kernels.Float](n []T) Reader[T] {
	return func(_ int, rates, z []T) {
		for l := range z {
			z[l] = T(kernels.Dot(n[l*len(rates):(l+1)*len(rates)], rates))
		}
	}
}

// Clamp opens the loop: it holds the readouts at z [rows, loops] whatever the rates.
func Clamp[T kernels.Float](at []T) Reader[T] {
	return func(row int, _, z []T) { copy(z, at[row*len(z):]) }
}

// Run is a number of states of one network on their way.
type Run[T kernels.Float] struct {
	X     []T // [rows, units]
	Rates []T // of the last evaluation of dx/dt, φ(x) [rows, units]
	Z     []T // read out there, [rows, loops]

	net   *Network[T]
	input []T
	read  Reader[T]
	f     []T    // dx/dt
	more  [2][]T // of Runge and Kutta
}

// Start sets out from the states x [rows, units] with the constant inputs [rows, inputs].
func (n *Network[T]) Start(x, input []T, read Reader[T]) *Run[T] {
	rows := len(x) / n.Units
	if rows < 1 || len(x) != rows*n.Units || len(input) != rows*n.Inputs {
		panic(fmt.Sprintf("feedback: states of %d numbers and inputs of %d for %d units and %d inputs", len(x), len(input), n.Units, n.Inputs))
	}
	return &Run[T]{
		X: append([]T(nil), x...), Rates: make([]T, len(x)), Z: make([]T, rows*n.Loops),
		net: n, input: append([]T(nil), input...), read: read, f: make([]T, len(x)),
	}
}

// field writes dx/dt to f.
func (r *Run[T]) field(x, f []T) {
	n := r.net
	kernels.Tanh(r.Rates, x)
	for row := range len(x) / n.Units {
		r.read(row, r.Rates[row*n.Units:(row+1)*n.Units], r.Z[row*n.Loops:(row+1)*n.Loops])
	}
	n.Drive(r.Rates, r.Z, r.input, f)
	kernels.Sub(f, f, x)
}

// Euler makes steps x ← x + dt·dx/dt.
func (r *Run[T]) Euler(dt T, steps int) {
	for range steps {
		r.field(r.X, r.f)
		kernels.Axpy(dt, r.f, r.X)
	}
}

// RungeKutta makes steps of the classical method of fourth order.
func (r *Run[T]) RungeKutta(dt T, steps int) {
	for i := range r.more {
		if r.more[i] == nil {
			r.more[i] = make([]T, len(r.X))
		}
	}
	at, sum := r.more[0], r.more[1]
	for range steps {
		copy(sum, r.X)
		copy(at, r.X)
		for _, stage := range []struct{ weight, ahead T }{{1. / 6, 1. / 2}, {1. / 3, 1. / 2}, {1. / 3, 1}, {1. / 6, 0}} {
			r.field(at, r.f)
			kernels.Axpy(dt*stage.weight, r.f, sum)
			copy(at, r.X)
			kernels.Axpy(dt*stage.ahead, r.f, at)
		}
		copy(r.X, sum)
	}
}

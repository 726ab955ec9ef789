// Package bench measures the speed of the framework beside what bounds it and what it
// replaces.
//
// A [Case] is a piece of work: an evaluation of a cell, an adjoint product, a whole training step. It is done by
// our own code, by the bare matrix products in it (same kernels, same packed operands),
// and by Gorgonia's TapeMachine. The three take turns, and the medians are compared, so that
// what else the machine does meets them alike. Everything is float32 and on one thread unless the
// case says otherwise.
package bench

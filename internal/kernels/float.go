// Package kernels holds the inner loops of the framework: matrix products,
// elementwise functions, dot products and norms, for float32 and float64.
package kernels

// Float is the number type of states, parameters and gradients.
type Float interface{ float32 | float64 }

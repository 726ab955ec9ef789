package models_test

import (
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/models/modeltest"

	"gonum.org/v1/gonum/mat"
)

func TestMonDEQOptions(t *testing.T) {
	for _, activation := range []string{"tanh", "softplus", "linear"} {
		modeltest.Test(t, models.MonDEQ{N: 6, Activation: activation, Margin: 0.3})
	}
	for _, bad := range []models.MonDEQ{{N: -1}, {Activation: "sigmoid"}, {Margin: 2}, {Margin: -0.1}, {Gain: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// The symmetric part of I − W, W being the derivative of the pre-activation, is at least m for
// any A and B, also large ones.
func TestMonDEQIsMonotone(t *testing.T) {
	const n, margin = 7, 0.4
	l, err := deq.New[float64](models.MonDEQ{N: n, Margin: margin, Gain: 3}, 2, 1, 1, deq.Config{Batch: n})
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.At(make([]float64, n*2), make([]float64, n*n))
	if err != nil {
		t.Fatal(err)
	}
	units, wt := make([]float64, n*n), make([]float64, n*n)
	for i := range n {
		units[i*n+i] = 1
	}
	if err := e.Recurrent(units, wt); err != nil { // row i is Wᵀ's
		t.Fatal(err)
	}
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, units[i*n+j]-(wt[i*n+j]+wt[j*n+i])/2)
		}
	}
	var eigen mat.EigenSym
	eigen.Factorize(s, false)
	if least := eigen.Values(nil)[0]; least < margin-1e-12 {
		t.Errorf("least eigenvalue of the symmetric part of I − W: %g, want at least %g", least, margin)
	}
}

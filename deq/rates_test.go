package deq_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
)

// The readout is what its weights make of the rates.
func TestRates(t *testing.T) {
	for name, m := range map[string]models.Model{
		"activities": models.Rate{N: units}, "currents": models.Rate{N: units, Form: "v", Leak: 0.3}, "lstm": models.LSTM{N: units},
		"feedback": models.Feedback{N: units}, "mondeq": models.MonDEQ{N: units},
	} {
		l, err := deq.New[float64](m, inputs, outputs, 1, deq.Config{Batch: rows, Shard: 2})
		if err != nil {
			t.Fatal(err)
		}
		synapses, err := l.ReadoutSynapses()
		if err != nil {
			t.Fatal(err)
		}
		z, width := normals(3, rows*l.Units, 1), synapses[0].Pre
		r, y := make([]float64, rows*width), make([]float64, rows*outputs)
		if err := l.Rates(z, r); err != nil {
			t.Fatal(err)
		}
		if err := l.Read(z, y); err != nil {
			t.Fatal(err)
		}
		w := l.Params.Data(synapses[0].Param)
		for b := range rows {
			for k := range outputs {
				sum := 0.0
				if len(synapses) > 1 {
					sum = l.Params.Data(synapses[1].Param)[k]
				}
				for j := range width {
					sum += w[k*width+j] * r[b*width+j]
				}
				if !(math.Abs(sum-y[b*outputs+k]) <= 1e-12) {
					t.Fatalf("%s: output %d is %v, and %v of the rates", name, k, y[b*outputs+k], sum)
				}
			}
		}
		if l.Rates(z[1:], r) == nil || l.Rates(z, r[1:]) == nil {
			t.Errorf("%s: a state or rates of another size are accepted", name)
		}
	}
	l, err := deq.New[float64](models.Feedback{N: units, Extra: 2}, inputs, outputs, 1, deq.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReadoutSynapses(); err == nil {
		t.Error("a readout that leaves out some of its products is taken for y = r·Wᵀ")
	}
}

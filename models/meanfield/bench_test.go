package meanfield

import "testing"

// BenchmarkFigure1e computes all states at the 1,000 targets of figure 1e.
func BenchmarkFigure1e(b *testing.B) {
	readout := fig1e.Readout(direction)
	for b.Loop() {
		o, err := fig1e.Network(gain).Open()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.Diagram(readout.Always, -2, 2, 999); err != nil {
			b.Fatal(err)
		}
	}
}

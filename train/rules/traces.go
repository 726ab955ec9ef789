package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
)

// Tracing says which way the sum of credits times eligibility traces is taken. Both give the same
//
//	Σ_t ℓ_i(t) e_ij(t),   e_ij(t) = D_i(t) e_ij(t−1) + s_i(t) pre_j(t),
//
// forwards with a trace for every synapse and sample, as a brain would and with no state kept; or backwards with
// a credit for every unit, ũ(t−1) = ℓ(t−1) + D(t) ũ(t), as many numbers as units, for one outer product
// a step.
type Tracing struct {
	Traces   string `default:"backwards" doc:"way the traces are summed: backwards, as credits of the units, or forwards, as traces of the synapses; the same sum" choices:"backwards,forwards"`
	MaxBytes int    `default:"500000000" doc:"largest memory of traces that run forwards; training that needs more is refused" max:"1e15: no machine has more memory"`
}

func (o Tracing) forwards() bool { return kit.WithDefaults(o).Traces == "forwards" }

// audit is that of a rule as it is with credits that run backwards.
func (o Tracing) audit(a Audit) Audit {
	if o.forwards() {
		a.StoredStates, a.Memory = false, "n^2"
	}
	return a
}

// checkTraces reports why the traces of a rule cannot run as the options say.
func checkTraces[T deq.Float](o Tracing, rule string, l *deq.Layer[T]) error {
	if o.MaxBytes < 0 {
		return fmt.Errorf("max_bytes: expected at least 1, found %d", o.MaxBytes)
	}
	if !o.forwards() {
		return nil
	}
	if err := l.CheckSynapses(); err != nil {
		return fmt.Errorf("rules: %s with traces that run forwards needs a cell of synapses: %w", rule, err)
	}
	synapses, err := l.Synapses()
	if err != nil {
		return err
	}
	limit := float64(kit.WithDefaults(o).MaxBytes)
	if need := bytesOfTraces(l, synapses, l.Batch()); need > limit {
		return fmt.Errorf("rules: %s needs %.3g bytes for the traces of all synapses of %d units, for %d samples, more than max_bytes %.3g: take fewer units or a smaller batch, raise max_bytes, or let the traces run backwards",
			rule, need, l.Units/l.Slots(), l.Batch(), limit)
	}
	return nil
}

// bytesOfTraces is the memory of the traces of so many samples: a float, since it may be beyond an int.
func bytesOfTraces[T deq.Float](l *deq.Layer[T], synapses []deq.Synapse, rows int) float64 {
	width := 0
	for _, y := range synapses {
		width += max(1, y.Pre)
	}
	return float64(rows) * float64(l.Units) * float64(width) * float64(bytesOf(make([]T, 1)))
}

// traceForwards adds Σ_t ℓ_t e_t to g, with traces that run forwards. With own they also follow the weights of units
// to themselves.
func (o Local[T]) traceForwards(ctx context.Context, p Passage[T], own bool, g deq.Params[T]) (Report, error) {
	l := p.Layer()
	synapses, err := l.Synapses()
	if err != nil {
		return Report{}, err
	}
	slots := l.Slots()
	n := l.Units / slots
	traces, sums := make([][]T, len(synapses)), make([][]T, len(synapses)) // [rows, n, slots, pre], [n, pre]
	one, scratch := []T{1}, []T(nil)
	for k, y := range synapses {
		width := max(1, y.Pre)
		traces[k], sums[k] = make([]T, p.Rows*l.Units*width), make([]T, n*width)
	}
	decays := newDecays[T](p.Rows, slots, n)
	err = o.feed(p, g, func(credit func(t int) ([]T, error)) error {
		var seen []deq.Local[T]
		for t := range p.Steps {
			if seen, err = p.Locals(ctx, t, t+1, seen); err != nil {
				return err
			}
			here := &seen[0]
			if err := decays.at(l, here, synapses, own); err != nil {
				return err
			}
			for k := range synapses {
				if here.Slope[k] == nil {
					continue
				}
				width := len(sums[k]) / n
				for j := range p.Rows * n {
					pre := one
					if here.Pre[k] != nil {
						b := j / n
						pre = here.Pre[k][b*width : (b+1)*width]
					}
					e := traces[k][j*slots*width : (j+1)*slots*width]
					before := e
					if slots > 1 {
						before = append(scratch[:0], e...)
						scratch = before
					}
					for s := range slots {
						row := e[s*width : (s+1)*width]
						kernels.Scale(row, decays.of[s*slots][j], before[:width])
						for r := 1; r < slots; r++ {
							kernels.Axpy(decays.of[s*slots+r][j], before[r*width:(r+1)*width], row)
						}
						kernels.Axpy(here.Slope[k][s][j], pre, row)
					}
				}
			}
			m, err := credit(t + 1)
			if err != nil {
				return err
			}
			if m == nil {
				continue
			}
			for k := range synapses {
				width := len(sums[k]) / n
				for j := range p.Rows * n {
					b, i := j/n, j%n
					for s := range slots {
						kernels.Axpy(m[(b*slots+s)*n+i], traces[k][(j*slots+s)*width:][:width], sums[k][i*width:(i+1)*width])
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	for k, dw := range sums {
		if err := l.WeightVJP(k, dw, g); err != nil {
			return Report{}, err
		}
	}
	return Report{Bytes: int(bytesOfTraces(l, synapses, p.Rows)) + bytesOf(decays.of...)}, nil
}

// decays are what of the traces of a unit is left after a step, D [rows, n] by slots s and r.
type decays[T deq.Float] struct {
	slots, n int
	of       [][]T // s·slots + r
}

func newDecays[T deq.Float](rows, slots, n int) *decays[T] {
	d := &decays[T]{slots: slots, n: n}
	for range slots * slots {
		d.of = append(d.of, make([]T, rows*n))
	}
	return d
}

// at takes the decays of a step: ∂f_s/∂z_r within the units and, with own, what goes by their own weights,
// Σ_k ∂f_s/∂a_k W_k,ii ∂pre_k/∂z_r.
func (d *decays[T]) at(l *deq.Layer[T], here *deq.Local[T], synapses []deq.Synapse, own bool) error {
	for s := range d.slots {
		for r := range d.slots {
			v := d.of[s*d.slots+r]
			clear(v)
			if here.Same != nil && here.Same[s][r] != nil {
				copy(v, here.Same[s][r])
			}
		}
	}
	if !own {
		return nil
	}
	for k, y := range synapses {
		if y.Role != models.Recurrent || here.Reach[k] == nil || here.Slope[k] == nil {
			continue
		}
		w, err := l.Weights(k)
		if err != nil {
			return err
		}
		for s := range d.slots {
			for r := range d.slots {
				v, slope, reach := d.of[s*d.slots+r], here.Slope[k][s], here.Reach[k][r]
				for j := range v {
					i := j % d.n
					v[j] += slope[j] * w[i*d.n+i] * reach[j]
				}
			}
		}
	}
	return nil
}

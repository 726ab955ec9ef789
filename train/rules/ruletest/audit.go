package ruletest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
)

// CheckAudit compares what a rule claims in its audit with what it reads, as the layer counts
// it, and with what its gradients depend on:
//
//   - recurrent and readout transport, phases and solves are counted. ∂L/∂z* is a product with
//     the readout's transpose that the rule finds computed, so it also is exchanged for
//     noise: a gradient that notices has read it.
//   - A rule that does not read the loss again could still read the readout's weights by itself: it
//     claims readout transport if its gradient changes with them, the output staying as it is.
//   - A rule that runs and solves nothing could still read the weights by itself. Where
//     another weight out of a unit changes and all activities stay, what it does to the
//     weights into the unit must stay too, unless it claims transport.
//   - Only the values of the loss are read if the gradients stay as they are with noise for all
//     its derivatives.
//   - Memory and time are measured, in bytes of Report and in evaluations, while n, T and k
//     grow fourfold. Powers of n in the time cannot be counted.
func CheckAudit(t testing.TB, rule rules.Rule[float64]) error {
	t.Helper()
	bench := func(n int) (*Bench, error) {
		b, err := accepted(t, rule, models.Rate{N: n, Gain: 0.9}, 2)
		if err == nil { // slow, so that solves take all the steps that they are given
			b.Backward = deq.Solver[float64]{Method: solvers.Picard[float64]{}, Settings: solvers.Settings{RTol: 5e-15, MaxEvals: 5000}}
		}
		return b, err
	}
	b, err := bench(units)
	if err != nil {
		return err
	}
	claims := rule.Audit()
	plain, err := b.run(rule, nil)
	if err != nil {
		return err
	}
	noise := func(dst []float64) {
		r := rng.Stream(3, "ruletest/noise")
		for i := range dst {
			dst[i] = r.NormFloat64()
		}
	}
	noDZ, err := b.run(rule, func(o *deq.Output[float64], l deq.Loss[float64]) deq.Loss[float64] {
		noise(o.DZ)
		return l
	})
	readsDZ := err != nil || differ(rule, noDZ.grads, plain.grads)
	blind, err := b.run(rule, func(o *deq.Output[float64], l deq.Loss[float64]) deq.Loss[float64] {
		noise(o.DZ)
		noise(o.DY)
		return valuesOnly{l, noise}
	})
	global := err == nil && !differ(rule, blind.grads, plain.grads)

	var errs []error
	claim := func(name string, claimed, found bool, how string) {
		switch {
		case claimed && !found:
			errs = append(errs, fmt.Errorf("it claims %s, but none was found: %s", name, how))
		case !claimed && found:
			errs = append(errs, fmt.Errorf("it claims no %s: %s", name, how))
		}
	}
	read := plain.gradient
	claim("recurrent transport", claims.RecurrentTransport, read.Transposed > 0,
		fmt.Sprintf("%d products with the transpose of the recurrent weights", read.Transposed))
	readsWeights := false
	if read.Readout == 0 {
		if readsWeights, err = b.readsReadout(rule, plain); err != nil {
			return err
		}
	}
	claim("readout transport", claims.ReadoutTransport, readsDZ || readsWeights || read.ReadoutTransposed > 0 && !global,
		fmt.Sprintf("%d products with the transpose of the readout, ∂L/∂z* read: %v, weights read: %v", read.ReadoutTransposed, readsDZ, readsWeights))
	claim("phases", claims.Phases, read.Cell > 0, fmt.Sprintf("%d evaluations of the cell", read.Cell))
	claim("global signal", claims.GlobalSignal, global, fmt.Sprintf("with noise for derivatives of the loss its gradient stays: %v", global))
	claim("solve", claims.Solve, read.Solves > 0, fmt.Sprintf("%d linear systems and products with an inverse", read.Solves))
	if read.Transposed == 0 && read.Cell+read.Tangent+read.Solves == 0 {
		d, err := b.transport(rule)
		if err != nil {
			errs = append(errs, err)
		}
		claim("recurrent transport", claims.RecurrentTransport, d > 1e-8,
			fmt.Sprintf("other weights out of a unit move the gradients of those into it by %.2g", d))
	}
	errs = append(errs, checkOrders(rule, bench)...)
	return errors.Join(errs...)
}

// valuesOnly is a loss with noise for its derivatives.
type valuesOnly struct {
	deq.Loss[float64]
	noise func([]float64)
}

// Eval implements deq.Loss.
func (l valuesOnly) Eval(rows []int, y, dy []float64, losses []float64) error {
	err := l.Loss.Eval(rows, y, dy, losses)
	l.noise(dy)
	return err
}

// readsReadout reports whether a gradient changes when the readout does, but not the output.
func (b *Bench) readsReadout(rule rules.Rule[float64], plain outcome) (bool, error) {
	var other outcome
	err := b.Layer.Vary(func(params deq.Params[float64]) error {
		for _, p := range params {
			if p.Role != models.Readout {
				continue
			}
			for i := range p.Data {
				p.Data[i] *= -1.5
			}
		}
		return nil
	}, func() (err error) {
		other, err = b.run(rule, func(o *deq.Output[float64], l deq.Loss[float64]) deq.Loss[float64] {
			was := plain.output
			copy(o.Y, was.Y)
			copy(o.Losses, was.Losses)
			copy(o.DY, was.DY)
			copy(o.DZ, was.DZ)
			return l
		})
		return err
	})
	return err != nil || differ(rule, other.grads, plain.grads), nil
}

// transport is how much the gradients of the weights into unit 0 depend on the weights out of
// it, where biases make up for these at the fixed point of one sample, relative to the
// largest. The bench is not to be used further.
func (b *Bench) transport(rule rules.Rule[float64]) (float64, error) {
	b.X = b.X[:inputs]
	before, err := b.run(rule, nil)
	if err != nil {
		return 0, err
	}
	n := b.Layer.Units
	if err := b.Layer.Update(func(params deq.Params[float64]) error {
		w, bias := params.Data("W"), params.Data("b")
		for j := 1; j < n; j++ {
			d := 0.3 * math.Sin(float64(j))
			w[j*n] += d
			bias[j] -= d * before.situation.Z[0]
		}
		return nil
	}); err != nil {
		return 0, err
	}
	after, err := b.run(rule, nil)
	if err != nil {
		return 0, err
	}
	var d, scale float64
	for _, name := range []string{"W", "U", "b"} {
		was, is := before.grads.Data(name), after.grads.Data(name)
		for k, v := range was[:len(was)/n] {
			d, scale = max(d, math.Abs(is[k]-v)), max(scale, math.Abs(v))
		}
	}
	return d / scale, nil
}

// How far n, T and k grow, and how far a measured power may be from the claimed one: two
// orders are half a power apart, and constant terms count at these sizes.
const (
	growth    = 4
	fewUnits  = 32
	fewSteps  = 64
	shortest  = 2
	fewTimes  = 8
	tolerance = 0.25
)

// checkOrders measures the orders of memory and time.
func checkOrders(rule rules.Rule[float64], bench func(n int) (*Bench, error)) (errs []error) {
	type cost struct{ memory, time float64 }
	measure := func(rule rules.Rule[float64], n int) (cost, error) {
		b, err := bench(n)
		if err != nil {
			return cost{}, err
		}
		out, err := b.run(rule, nil)
		r, g := out.relax, out.gradient
		evals := r.Cell + g.Other + g.Cell + g.Tangent + g.Transposed + g.Synaptic + g.Readout + g.ReadoutTransposed
		return cost{float64(out.report.Bytes), float64(evals)}, err
	}
	compare := func(symbol string, few, many rules.Rule[float64], n int) {
		units := n
		if symbol == "n" {
			units *= growth
		}
		a, err := measure(few, n)
		if err != nil {
			errs = append(errs, err)
			return
		}
		b, err := measure(many, units)
		if err != nil {
			errs = append(errs, err)
			return
		}
		check := func(what string, claimed rules.Order, few, many float64) {
			want, err := claimed.Exponent(symbol)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
				return
			}
			got := 0.0
			if few != many {
				got = math.Log(many/few) / math.Log(growth)
			}
			if !(math.Abs(got-want) <= tolerance) {
				errs = append(errs, fmt.Errorf("it claims %s of order %q, but with %d times the %s it grows by the power %.2f of it, from %g to %g",
					what, claimed, growth, symbol, got, few, many))
			}
		}
		audit := many.Audit()
		check("memory", audit.Memory, a.memory, b.memory)
		if symbol != "n" {
			check("time", audit.Time, a.time, b.time)
		} else if power, err := audit.Time.Exponent("n"); err == nil && power < 2 {
			errs = append(errs, fmt.Errorf("it claims time of order %q, but a gradient of n² weights takes n^2", audit.Time))
		}
		if stores := symbol == "T" && b.memory > 1.5*a.memory; symbol == "T" && stores != audit.StoredStates {
			errs = append(errs, fmt.Errorf("it claims stored states: %v, but %d times the steps take %g bytes instead of %g", audit.StoredStates, growth, b.memory, a.memory))
		}
	}
	short, _ := with(rule, "T", shortest) // the units' power does not depend on the steps, but an n^4 on a wait
	compare("n", short, short, fewUnits)
	long, _ := with(rule, "T", fewSteps) // what takes a step each is done at most as often as there are steps
	for symbol, from := range map[string]int{"T": fewSteps, "k": fewTimes} {
		few, ok := with(long, symbol, from)
		if many, _ := with(long, symbol, growth*from); ok {
			compare(symbol, few, many, units)
			continue
		}
		audit := rule.Audit()
		inMemory, _ := audit.Memory.Exponent(symbol)
		inTime, _ := audit.Time.Exponent(symbol)
		if inMemory > 0 || symbol == "T" && (inTime > 0 || audit.StoredStates) {
			errs = append(errs, fmt.Errorf("it claims memory %q and time %q, but no option has the tag order:%q", audit.Memory, audit.Time, symbol))
		}
	}
	return errs
}

// with returns the rule with its option that has the tag order:"symbol" set to a value, and
// whether there is one.
func with(rule rules.Rule[float64], symbol string, value int) (rules.Rule[float64], bool) {
	v := reflect.New(reflect.TypeOf(rule)).Elem()
	v.Set(reflect.ValueOf(rule))
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.Tag.Get("order") == symbol {
			v.FieldByIndex(field.Index).SetInt(int64(value))
			return v.Interface().(rules.Rule[float64]), true
		}
	}
	return rule, false
}

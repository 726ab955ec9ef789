package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Audit says how local a rule is: what it needs beyond what a synapse has at hand, its
// weight and the activities of its two units at the fixed point. Package ruletest checks every
// claim, both ways, against what the rule reads.
//
// The facts are those of a cell with one activation, φ(zWᵀ + xUᵀ + b) or a leak of it. Where
// units feed each other within the cell, as gates do, uᵀ ∂f/∂θ itself goes back through weights.
type Audit struct {
	// RecurrentTransport: it multiplies by the transpose of the recurrent weights, in Jᵀu or uW.
	RecurrentTransport bool `json:"recurrent_transport"`
	// ReadoutTransport: it multiplies by the transpose of the readout's weights. Its own products
	// count, and so does ∂L/∂z* (Output.DZ), which is one: a rule that reads it claims this.
	ReadoutTransport bool `json:"readout_transport"`
	// Phases: it runs the cell again once the loss is known: nudged, clamped, perturbed or
	// recomputed states.
	Phases bool `json:"phases"`
	// StoredStates: it keeps states over the time of a relaxation, the more the longer.
	StoredStates bool `json:"stored_states"`
	// GlobalSignal: of the loss it reads the values alone, one number for each sample, and no
	// derivative.
	GlobalSignal bool `json:"global_signal"`
	// Solve: it solves a linear system, or uses an inverse that a solver keeps.
	Solve bool `json:"solve"`

	Memory Order `json:"memory"` // of its own buffers, beyond layer, solvers, gradients and parameters of its own
	Time   Order `json:"time"`   // of its computations for a sample, without finding the fixed point
}

// Order is how a cost grows, a product of powers such as "n", "k n^2", "√T n" or "1", for n units
// (products with dense matrices cost n^2), T steps of a relaxation and k iterations of the rule or
// of its solver. The option of a rule that is T or k has the tag order:"T" or order:"k".
type Order string

// Exponent is the power of one of the symbols n, T and k.
func (o Order) Exponent(symbol string) (float64, error) {
	power := 0.0
	for _, factor := range strings.Fields(string(o)) {
		base, exponent, raised := strings.Cut(factor, "^")
		p := 1.0
		if raised {
			var err error
			if p, err = strconv.ParseFloat(exponent, 64); err != nil || !(p > 0) || math.IsInf(p, 0) {
				return 0, fmt.Errorf("rules: order %q: expected a positive power in %q", o, factor)
			}
		}
		base, root := strings.CutPrefix(base, "√")
		if root {
			p /= 2
		}
		if base != "1" && !slices.Contains([]string{"n", "T", "k"}, base) {
			return 0, fmt.Errorf("rules: order %q: expected powers of n, T and k, or 1, found %q", o, factor)
		}
		if base == symbol {
			power += p
		}
	}
	if strings.TrimSpace(string(o)) == "" {
		return 0, fmt.Errorf(`rules: no order: expected one such as "1", "n" or "k n^2"`)
	}
	return power, nil
}

// Fact is a line of an audit.
type Fact struct {
	Name  string // in the words of a table's head
	Value string // "yes", "no" or an order
	Doc   string
}

// Facts lists the audit for tables and help.
func (a Audit) Facts() []Fact {
	facts := []Fact{
		{Name: "recurrent transport", Doc: "multiplies by the transpose of the recurrent weights"},
		{Name: "readout transport", Doc: "multiplies by the transpose of the readout's weights, as ∂L/∂z* does"},
		{Name: "phases", Doc: "runs the cell again once the loss is known"},
		{Name: "stored states", Doc: "keeps states over the time of a relaxation"},
		{Name: "global signal", Doc: "reads the value of the loss alone, and no derivative of it"},
		{Name: "solve", Doc: "solves a linear system, or uses an inverse that a solver keeps"},
		{Name: "memory", Value: string(a.Memory), Doc: "own buffers: n units, T steps, k iterations"},
		{Name: "time", Value: string(a.Time), Doc: "own computations for a sample"},
	}
	for i, yes := range []bool{a.RecurrentTransport, a.ReadoutTransport, a.Phases, a.StoredStates, a.GlobalSignal, a.Solve} {
		facts[i].Value = "no"
		if yes {
			facts[i].Value = "yes"
		}
	}
	return facts
}

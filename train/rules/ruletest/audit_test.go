package ruletest_test

import (
	"context"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/solvers"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// claiming is a rule with another audit than its own.
type claiming struct {
	rules.EquilibriumRule[float64]
	audit rules.Audit
}

func (r claiming) Audit() rules.Audit { return r.audit }

// secret reads the transpose of W from the parameters, past the layer's functions.
type secret struct{ rules.JFB[float64] }

func (secret) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	w, n := s.Layer().Params.Data("W"), s.Layer().Units
	u := make([]float64, len(s.Z))
	for b := range s.Rows {
		for i := range n {
			for j := range n {
				u[b*n+i] += w[j*n+i] * s.Output.DZ[b*n+j]
			}
		}
	}
	return rules.Report{}, s.VJP(u, g)
}

// mirror takes the error back through a twin whose weights are the network's own.
type mirror struct {
	rules.FeedbackAlignment[float64]
}

func (mirror) Gradient(_ context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	twin, err := s.Layer().Twin(func(deq.Params[float64]) {})
	if err != nil {
		return rules.Report{}, err
	}
	u := make([]float64, len(s.Z))
	if err := twin.ReadoutVJP(s.Z, s.Output.DY, u, nil); err != nil {
		return rules.Report{}, err
	}
	there, err := twin.At(s.X, s.Z)
	if err != nil {
		return rules.Report{}, err
	}
	if err := there.ApplyJT(u, u); err != nil {
		return rules.Report{}, err
	}
	return rules.Report{Bytes: 8 * len(u)}, s.VJP(u, g)
}

// signs is sign-symmetric that hides where its signs come from.
type signs struct{ rules.SignSymmetric[float64] }

func (r signs) Audit() rules.Audit {
	a := r.SignSymmetric.Audit()
	a.ReadoutTransport = false
	return a
}

// hoarder keeps buffers of the size of W, or says so.
type hoarder struct{ rules.JFB[float64] }

func (h hoarder) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	rep, err := h.JFB.Gradient(ctx, s, g)
	rep.Bytes = 8 * len(s.Layer().Params.Data("W"))
	return rep, err
}

// forgetful solves again, and says that it does not.
type forgetful struct{ rules.JFB[float64] }

func (h forgetful) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	if _, err := s.Layer().Solve(ctx, s.X, nil, deq.Solver[float64]{Method: solvers.Picard[float64]{}}); err != nil {
		return rules.Report{}, err
	}
	return h.JFB.Gradient(ctx, s, g)
}

// blind descends a random direction by what the loss does along it.
type blind struct{ rules.JFB[float64] }

func (blind) Audit() rules.Audit {
	return rules.Audit{GlobalSignal: true, Memory: "1", Time: "n^2"}
}

func (blind) Gradient(_ context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	u := make([]float64, len(s.Z))
	for i := range u {
		u[i] = s.Output.Losses[i/s.Layer().Units]
	}
	return rules.Report{}, s.VJP(u, g)
}

func TestLiarsAreCaught(t *testing.T) {
	jfb := rules.JFB[float64]{}
	claim := func(rule rules.EquilibriumRule[float64], change func(a *rules.Audit)) rules.Rule[float64] {
		a := rule.Audit()
		change(&a)
		return claiming{rule, a}
	}
	for _, c := range []struct {
		name, want string // empty: the audit holds
		rule       rules.Rule[float64]
	}{
		{"honest", "", jfb},
		{"honest values", "", blind{}},
		{"honest bytes", "", claim(hoarder{}, func(a *rules.Audit) { a.Memory = "n^2" })},
		{"adjoint", "no recurrent transport", claim(rules.Implicit[float64]{}, func(a *rules.Audit) { a.RecurrentTransport = false })},
		{"products", "no recurrent transport", claim(rules.Neumann[float64]{}, func(a *rules.Audit) { a.RecurrentTransport = false })},
		{"uW", "no recurrent transport", claim(rules.ReparamHalf[float64]{}, func(a *rules.Audit) { a.RecurrentTransport = false })},
		{"past the layer", "no recurrent transport", secret{}},
		{"a twin with the same W", "no recurrent transport", mirror{}},
		{"a twin with the same readout", "no readout transport", mirror{}},
		{"signs of the readout", "no readout transport", signs{}},
		{"transport for show", "claims recurrent transport", claim(jfb, func(a *rules.Audit) { a.RecurrentTransport = true })},
		{"∂L/∂z*", "no readout transport", claim(jfb, func(a *rules.Audit) { a.ReadoutTransport = false })},
		{"nudging", "no readout transport", claim(rules.EqProp[float64]{}, func(a *rules.Audit) { a.ReadoutTransport = false })},
		{"nudged phases", "no phases", claim(rules.EqProp[float64]{}, func(a *rules.Audit) { a.Phases = false })},
		{"another solve", "no phases", forgetful{}},
		{"vectors", "claims global signal", claim(jfb, func(a *rules.Audit) { a.GlobalSignal = true })},
		{"values", "no global signal", claim(blind{}, func(a *rules.Audit) { a.GlobalSignal = false })},
		{"adjoint solve", "no solve", claim(rules.Implicit[float64]{}, func(a *rules.Audit) { a.Solve = false })},
		{"kept inverse", "no solve", quiet{}},
		{"bytes", "memory of order", hoarder{}},
		{"states", "memory of order", relabelled{Memory: "n", Time: "T n^2"}},
		{"no states", "stored states: false", relabelled{Memory: "T n", Time: "T n^2"}},
		{"steps", "time of order", relabelled{Memory: "T n", Time: "n^2", StoredStates: true}},
		{"terms", "time of order", counted{}},
		{"too fast", "takes n^2", claim(jfb, func(a *rules.Audit) { a.Time = "n" })},
		{"no order", "no order", claim(jfb, func(a *rules.Audit) { a.Memory = "" })},
		{"no such order", "powers of n, T and k", claim(jfb, func(a *rules.Audit) { a.Memory = "m" })},
		{"no such option", "no option", claim(jfb, func(a *rules.Audit) { a.Memory = "T" })},
	} {
		err := ruletest.CheckAudit(t, c.rule)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want that %q", c.name, err, c.want)
		}
	}
}

// quiet is shine that hides where its inverse comes from.
type quiet struct{ rules.Shine[float64] }

func (r quiet) Audit() rules.Audit {
	a := r.Shine.Audit()
	a.Solve = false
	return a
}

// relabelled is bptt with its claims as fields.
type relabelled struct {
	Steps        int `order:"T"`
	StoredStates bool
	Memory, Time rules.Order
}

func (r relabelled) bptt() rules.BPTT[float64]         { return rules.BPTT[float64]{Steps: r.Steps} }
func (r relabelled) Check(l *deq.Layer[float64]) error { return nil }
func (r relabelled) Exact() bool                       { return true }
func (r relabelled) Horizon() int                      { return r.bptt().Horizon() }
func (r relabelled) Audit() rules.Audit {
	a := r.bptt().Audit()
	a.StoredStates, a.Memory, a.Time = r.StoredStates, r.Memory, r.Time
	return a
}
func (r relabelled) Gradient(ctx context.Context, p rules.Passage[float64], g deq.Params[float64]) (rules.Report, error) {
	return r.bptt().Gradient(ctx, p, g)
}

// counted is neumann that leaves its terms out of the time.
type counted struct {
	Terms int `order:"k"`
}

func (r counted) neumann() rules.Neumann[float64] { return rules.Neumann[float64]{Terms: r.Terms} }
func (counted) Check(l *deq.Layer[float64]) error { return nil }
func (counted) Exact() bool                       { return false }
func (r counted) Audit() rules.Audit {
	a := r.neumann().Audit()
	a.Time = "n^2"
	return a
}
func (r counted) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	return r.neumann().Gradient(ctx, s, g)
}

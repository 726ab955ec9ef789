package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/models"
	"attractor/train"
)

// feedbackLoops are those of a network, z = nφ(x) fed back along m.
type feedbackLoops struct {
	m, n       [][]float64 // by loop
	input      []float64   // I, what is constant beside them
	activation string      // of a state φ(x); empty where it is x
}

// analyzedLoops are the loops in the output.
type analyzedLoops struct {
	Names    []string         `json:"names"`    // n, m and I; with several loops n0, n1, …, m0, m1, … and I
	Overlaps [][]train.Number `json:"overlaps"` // a·b
	Cosines  [][]train.Number `json:"cosines"`
	Along    []analyzedAlong  `json:"along"`
}

// analyzedAlong says where the network settles from x = z₀m + I.
type analyzedAlong struct {
	Loop int          `json:"loop"`
	Z0   train.Number `json:"z0"`
	To   int          `json:"to"` // −1: at no stable fixed point
}

// loopsOf returns the loops of our own model, nil for others.
func (r *analyzeResult) loopsOf() *feedbackLoops {
	m, ok := r.net.Model.(models.Feedback)
	if !ok {
		return nil
	}
	m = options.WithDefaults(m)
	l := &feedbackLoops{input: make([]float64, r.Units)}
	p := r.net.Params
	l.from(p.Data("M"), p.Data("n"), r.Units)
	kernels.Gemm(false, false, r.Units, 1, r.net.Inputs, p.Data("U"), r.net.Inputs, r.x, 1, 0, l.input, 1)
	if m.State == "rate" {
		l.activation = m.Activation
	}
	return l
}

// from takes m [units, loops] and n [loops, units].
func (l *feedbackLoops) from(m, n []float64, units int) {
	loops := len(m) / units
	for k := range loops {
		column := make([]float64, units)
		for i := range column {
			column[i] = m[i*loops+k]
		}
		l.m, l.n = append(l.m, column), append(l.n, n[k*units:(k+1)*units])
	}
}

// feedback returns the loops of a network from a file for an input, nil where it has none.
func (n *network) feedback(x []float64, activation string) *feedbackLoops {
	if n.loops == 0 {
		return nil
	}
	l := &feedbackLoops{input: append([]float64(nil), n.b...), activation: activation}
	l.from(n.m, n.n, n.units)
	kernels.Gemm(false, false, n.units, 1, n.inputs, n.u, n.inputs, x, 1, 1, l.input, 1)
	return l
}

// analyzeLoops fills in the loops.
func (r *analyzeResult) analyzeLoops(ctx context.Context, settle stability.Basins) error {
	if r.loops == nil {
		return nil
	}
	out := &analyzedLoops{Along: []analyzedAlong{}}
	var vectors [][]float64
	for _, of := range []struct {
		name    string
		vectors [][]float64
	}{{"n", r.loops.n}, {"m", r.loops.m}} {
		for k, v := range of.vectors {
			name := of.name
			if len(of.vectors) > 1 {
				name += fmt.Sprint(k)
			}
			out.Names, vectors = append(out.Names, name), append(vectors, v)
		}
	}
	out.Names, vectors = append(out.Names, "I"), append(vectors, r.loops.input)
	g := stability.GeometryOf(vectors...)
	for i := range g.Overlaps {
		out.Overlaps, out.Cosines = append(out.Overlaps, numbers(g.Overlaps[i])), append(out.Cosines, numbers(g.Cosines[i]))
	}
	const most, step = 4.0, 0.5
	var states []float64
	for k, m := range r.loops.m {
		for z := -most; z <= most; z += step {
			x := append([]float64(nil), r.loops.input...)
			kernels.Axpy(z, m, x)
			activate(r.loops.activation, x)
			states, out.Along = append(states, x...), append(out.Along, analyzedAlong{Loop: k, Z0: train.Number(z)})
		}
	}
	ends, err := stability.Settle(ctx, r.net, r.x, states, r.found, settle)
	for i, to := range ends {
		out.Along[i].To = to
	}
	r.Loops = out
	return r.note("feedback loops", err)
}

func numbers(v []float64) []train.Number {
	out := make([]train.Number, len(v))
	for i, x := range v {
		out[i] = train.Number(x)
	}
	return out
}

// activate applies φ in place; none, where the state is what comes before φ.
func activate(name string, x []float64) {
	switch name {
	case "tanh":
		kernels.Tanh(x, x)
	case "relu":
		kernels.Relu(x, x)
	case "sigmoid":
		kernels.Sigmoid(x, x)
	case "softplus":
		kernels.Softplus(x, x)
	default:
		if phi, ok := models.Function(name); ok {
			for i, a := range x {
				x[i], _ = phi(a)
			}
		}
	}
}

// print writes the loops for people.
func (l *analyzedLoops) print(to io.Writer) error {
	fmt.Fprintln(to, "\nfeedback loops: a·b, and below the diagonal the cosine")
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(l.Names, "\t"))
	for i, name := range l.Names {
		fmt.Fprintf(w, "%s\t", name)
		for k := range l.Names {
			v := l.Overlaps[i][k]
			if k < i {
				v = l.Cosines[i][k]
			}
			text := short(v)
			if math.IsNaN(float64(v)) { // with a vector of zeros
				text = "-"
			}
			fmt.Fprintf(w, "%s\t", text)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for from, next := 0, 0; from < len(l.Along); from = next {
		first := l.Along[from]
		for next = from; next < len(l.Along) && l.Along[next].Loop == first.Loop && l.Along[next].To == first.To; {
			next++
		}
		vector, where := l.Names[len(l.Names)/2+first.Loop], fmt.Sprint("at point ", first.To)
		if first.To == stability.Nowhere {
			where = "at no stable point"
		}
		with := fmt.Sprintf("z₀ = %g", float64(first.Z0))
		if next > from+1 {
			with = fmt.Sprintf("z₀ from %g to %g", float64(first.Z0), float64(l.Along[next-1].Z0))
		}
		fmt.Fprintf(to, "from x = z₀%s + I with %s it settles %s\n", vector, with, where)
	}
	return nil
}

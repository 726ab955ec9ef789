package compare

import (
	"math"

	"attractor/train"
)

// tally adds up what is compared in a look, batch by batch.
type tally struct {
	params []segment // of a gradient
	rules  []ruleTally
	grid   [][]sum // cosines between any two gradients
}

// segment is where a parameter stands in a gradient.
type segment struct {
	name     string
	from, to int
}

// ruleTally is what is added up for one rule.
type ruleTally struct {
	name, err string
	all       measureTally
	params    []measureTally
	descent   sum
	evals     sum
	errors    []float64 // Σ dᵢ
}

// measureTally is what Measures are made of.
type measureTally struct {
	cosine, ratio, agreement sum
	squares                  float64 // Σ ‖dᵢ‖²
	exact                    float64 // Σ ‖gᵢ‖²
}

// sum is for a mean.
type sum struct{ total, n float64 }

func (s *sum) add(v float64)     { s.total, s.n = s.total+v, s.n+1 }
func (s sum) mean() train.Number { return train.Number(s.total / s.n) }

func newTally(names []string) *tally {
	t := &tally{rules: make([]ruleTally, len(names)), grid: make([][]sum, len(names)+1)}
	for i, n := range names {
		t.rules[i].name = n
	}
	for i := range t.grid {
		t.grid[i] = make([]sum, len(t.grid))
	}
	return t
}

// param adds a parameter of so many entries.
func (t *tally) param(name string, entries int) {
	from := 0
	if n := len(t.params); n > 0 {
		from = t.params[n-1].to
	}
	t.params = append(t.params, segment{name, from, from + entries})
	for i := range t.rules {
		t.rules[i].params = append(t.rules[i].params, measureTally{})
		t.rules[i].errors = append(t.rules[i].errors, make([]float64, entries)...)
	}
}

// add adds a batch.
func (t *tally) add(s sight) {
	exact := s.gradients[0]
	for i := range t.rules {
		r := &t.rules[i]
		if s.errs[i] != nil {
			r.err = s.errs[i].Error()
			continue
		}
		var all match
		squares := 0.0
		for k, p := range t.params {
			own, g := s.gradients[i+1][p.from:p.to], exact[p.from:p.to]
			m := matchOf(own, g)
			sq := 0.0
			for j, v := range own {
				d := v - g[j]
				sq += d * d
				r.errors[p.from+j] += d
			}
			r.params[k].add(m, sq)
			all.add(m)
			squares += sq
		}
		r.all.add(all, squares)
		r.descent.add(all.descent())
		r.evals.add(s.evals[i])
	}
	for a := range t.grid {
		for b := range a + 1 {
			if a > 0 && s.errs[a-1] != nil || b > 0 && s.errs[b-1] != nil {
				continue
			}
			t.grid[a][b].add(matchOf(s.gradients[a], s.gradients[b]).cosine())
		}
	}
}

func (t *measureTally) add(m match, squares float64) {
	t.cosine.add(m.cosine())
	t.ratio.add(m.ratio())
	t.agreement.add(m.agreement())
	t.squares += squares
	t.exact += m.gg
}

// measures evaluates the sums; errors is Σ dᵢ.
func (t measureTally) measures(errors []float64) Measures {
	length := 0.0 // ‖Σ dᵢ‖² = Σ_{i,j} ⟨dᵢ, dⱼ⟩
	for _, v := range errors {
		length += v * v
	}
	m, scale := t.cosine.n, t.exact/t.cosine.n
	out := Measures{
		Cosine: t.cosine.mean(), NormRatio: t.ratio.mean(), SignAgreement: t.agreement.mean(),
		BiasSquared: train.Number((length - t.squares) / (m * (m - 1)) / scale),
		Variance:    train.Number((t.squares - length/m) / (m - 1) / scale),
	}
	if m < 2 {
		out.BiasSquared, out.Variance = train.Number(math.NaN()), train.Number(math.NaN())
	}
	return out
}

// cosines are the means between any two gradients.
func (t *tally) cosines() [][]train.Number {
	out := make([][]train.Number, len(t.grid))
	for a := range out {
		out[a] = make([]train.Number, len(out))
		for b := range a + 1 {
			out[a][b] = t.grid[a][b].mean()
			out[b][a] = out[a][b]
		}
	}
	return out
}

// views are what was added up for the rules.
func (t *tally) views() []View {
	var out []View
	for _, r := range t.rules {
		v := View{Rule: r.name, Error: r.err, Measures: r.all.measures(r.errors), Descent: r.descent.mean(), Evals: r.evals.mean()}
		for k, p := range t.params {
			v.Params = append(v.Params, ParamView{Name: p.name, Measures: r.params[k].measures(r.errors[p.from:p.to])})
		}
		out = append(out, v)
	}
	return out
}

package compare

import (
	"fmt"
	"slices"
	"strings"

	"attractor/train"
)

// Alignment is what all rules make of one moment of the runs that one rule drives: the Looks of
// its trials, over seeds. What parameters have each is in the Looks of the trials.
type Alignment struct {
	Driver  string       `json:"driver"`
	Moment  int          `json:"moment"` // from 0
	Step    int          `json:"step"`
	Epoch   train.Number `json:"epoch"`
	Trials  int          `json:"trials"`  // that came so far
	Samples int          `json:"samples"` // of all batches of all trials
	Dropped int          `json:"dropped"` // samples without an exact gradient, in addition
	// Unstable of the samples have a fixed point that iterating the cell leaves (see Look).
	Unstable int `json:"unstable"`

	Gradients []string     `json:"gradients"` // ExactGradient, then the rules
	Cosines   [][]Interval `json:"cosines"`   // between any two
	Views     []Standing   `json:"views"`     // of the rules
}

// Standing is a View over seeds.
type Standing struct {
	Rule          string   `json:"rule"`
	Cosine        Interval `json:"cosine"`
	NormRatio     Interval `json:"norm_ratio"`
	SignAgreement Interval `json:"sign_agreement"`
	BiasSquared   Interval `json:"bias_squared"`
	Variance      Interval `json:"variance"`
	Descent       Interval `json:"descent"`
	PerEval       Interval `json:"descent_per_eval"` // Descent over the evaluations per sample that the gradient took
	PerMiB        Interval `json:"descent_per_mib"`  // Descent over the memory held to train by the rule
	Evals         Interval `json:"evals"`
	Bytes         int64    `json:"bytes"` // the most
	Error         string   `json:"error,omitempty"`
}

// alignments summarises the looks of all trials, driver by driver and moment by moment.
func alignments(rows []Row) []Alignment {
	var out []Alignment
	for _, r := range rows {
		for moment := 0; ; moment++ {
			var looks []Look
			for _, t := range r.Trials {
				for _, l := range t.Looks {
					if l.Moment == moment {
						looks = append(looks, l)
					}
				}
			}
			if len(looks) == 0 {
				break
			}
			out = append(out, align(r.Rule, looks))
		}
	}
	return out
}

// align summarises looks at one moment.
func align(driver string, looks []Look) Alignment {
	first := looks[0]
	a := Alignment{Driver: driver, Moment: first.Moment, Step: first.Step, Epoch: first.Epoch, Trials: len(looks), Gradients: first.Gradients}
	for _, l := range looks {
		a.Samples, a.Dropped, a.Unstable = a.Samples+l.Samples, a.Dropped+l.Dropped, a.Unstable+l.Unstable
	}
	over := func(value func(Look) float64) Interval {
		v := make([]float64, len(looks))
		for i, l := range looks {
			v[i] = value(l)
		}
		return MeanInterval(v)
	}
	a.Cosines = make([][]Interval, len(a.Gradients))
	for i := range a.Cosines {
		for k := range a.Gradients {
			a.Cosines[i] = append(a.Cosines[i], over(func(l Look) float64 { return float64(l.Cosines[i][k]) }).Clip(-1, 1))
		}
	}
	for i, v := range first.Views {
		view := func(value func(View) float64) Interval {
			return over(func(l Look) float64 { return value(l.Views[i]) })
		}
		s := Standing{
			Rule:          v.Rule,
			Cosine:        a.Cosines[0][i+1],
			NormRatio:     view(func(v View) float64 { return float64(v.NormRatio) }),
			SignAgreement: view(func(v View) float64 { return float64(v.SignAgreement) }).Clip(0, 1),
			BiasSquared:   view(func(v View) float64 { return float64(v.BiasSquared) }),
			Variance:      view(func(v View) float64 { return float64(v.Variance) }),
			Descent:       view(func(v View) float64 { return float64(v.Descent) }),
			PerEval:       view(func(v View) float64 { return float64(v.Descent / v.Evals) }),
			PerMiB:        view(func(v View) float64 { return float64(v.Descent) / float64(v.Bytes) * (1 << 20) }),
			Evals:         view(func(v View) float64 { return float64(v.Evals) }),
		}
		for _, l := range looks {
			s.Bytes = max(s.Bytes, l.Views[i].Bytes)
			if s.Error == "" {
				s.Error = l.Views[i].Error
			}
		}
		a.Views = append(a.Views, s)
	}
	return a
}

// leaves says which samples have no exact gradient, and which have one at an unstable fixed point: "" for none.
func (a *Alignment) leaves() string {
	var parts []string
	if a.Dropped > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d samples are left out: no fixed point was found, and so no exact gradient.", a.Dropped, a.Dropped+a.Samples))
	}
	if a.Unstable > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d fixed points are unstable: iterating the cell leaves them.", a.Unstable, a.Samples))
	}
	return strings.Join(parts, " ")
}

// of returns the alignments of the runs that a rule drives, by moment.
func (s *Setting) alignmentsOf(driver string) []Alignment {
	return slices.DeleteFunc(slices.Clone(s.Alignments), func(a Alignment) bool { return a.Driver != driver })
}

// View returns what is known of a rule at this moment, or nil.
func (a *Alignment) View(rule string) *Standing {
	for i := range a.Views {
		if a.Views[i].Rule == rule {
			return &a.Views[i]
		}
	}
	return nil
}

package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/models"
	"attractor/train"
	"attractor/train/rules"
)

// ownArray is a parameter of a rule's own on the model rate, as the arrays rule/NAME of files have it.
type ownArray struct {
	name, shape string
	fixed       bool
	when        []string // options that it takes, KEY=VALUE; empty with the defaults
}

// ownArrays are those of all rules, for the help of gradient.
const ownArrays = `  rule/Wo           feedback-alignment, sign-symmetric, kolen-pollack, rflo, three-factor, least-control-learned,
                    and with rule.feedback=random or adaptive e-prop, kernl, mdgl, modprop, snap-1
  rule/W            feedback-alignment, sign-symmetric and kolen-pollack with rule.recurrent=random
  rule/sensitivity, rule/decay    kernl
  rule/gram         force`

// The sizes by which the dimensions of own arrays are told apart.
const ownUnits, ownInputs, ownOutputs = 12, 3, 2

// ownArraysOf lists the parameters of a rule's own, with the default options and with each choice of one of them.
func ownArraysOf(parts train.Parts[float64], name string) ([]ownArray, error) {
	l, err := deq.New[float64](models.Rate{N: ownUnits}, ownInputs, ownOutputs, 1, deq.Config{Batch: 1, Workers: 1})
	if err != nil {
		return nil, err
	}
	var all []ownArray
	add := func(rule rules.Rule[float64], when string) {
		parametric, ok := rule.(rules.Parametric[float64])
		if !ok || rule.Check(l) != nil {
			return
		}
		for _, p := range parametric.Parameters(l) {
			own := ownArray{name: p.Name, shape: ownShape(p.Shape), fixed: p.Fixed}
			i := slices.IndexFunc(all, func(o ownArray) bool { return o.name == own.name && o.shape == own.shape && o.fixed == own.fixed })
			switch {
			case i < 0:
				if when != "" {
					own.when = []string{when}
				}
				all = append(all, own)
			case when != "" && len(all[i].when) > 0:
				all[i].when = append(all[i].when, when)
			}
		}
	}
	entry, err := parts.Rules.Lookup(name)
	if err != nil {
		return nil, err
	}
	add(entry.Value, "")
	for _, f := range options.Fields(entry.Value) {
		for _, choice := range f.Choices {
			if choice == f.Default {
				continue
			}
			c, err := train.Read(parts, "the help", nil, []string{"rule=" + name, "rule." + f.Key + "=" + choice})
			if err != nil {
				return nil, err
			}
			add(c.Rule.Value, f.Key+"="+choice)
		}
	}
	return all, nil
}

// ownShape is a shape in words.
func ownShape(shape []int) string {
	var words []string
	for _, n := range shape {
		words = append(words, map[int]string{ownUnits: "units", ownUnits + 1: "units + 1", ownInputs: "inputs", ownOutputs: "outputs"}[n])
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// explainOwn prints the parameters of a rule's own.
func (p *program) explainOwn(name string) error {
	all, err := ownArraysOf(p.parts64, name)
	if err != nil || len(all) == 0 {
		return err
	}
	fmt.Fprintf(p.stdout, "\nParameters of its own, on the model rate: drawn from the seed, in checkpoints and for %s gradient the arrays\n", p.name)
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, own := range all {
		what := "learns"
		if own.fixed {
			what = "fixed"
		}
		if len(own.when) > 0 {
			what += ", with rule." + strings.Join(own.when, " or ")
		}
		fmt.Fprintf(t, "  rule/%s\t%s\t%s\n", own.name, own.shape, what)
	}
	return t.Flush()
}

package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/rules"
)

// kind is a catalogue, without the type of its parts.
type kind struct {
	plural, singular string
	section          string // of the configuration; empty for none
	choose           string // the option that chooses a part; empty for experiments
	parts            []part
	common           []options.Field // options of the section whatever the part
}

type part struct {
	name, synopsis, doc string
	refs                []string
	options             []options.Field
	audit               *rules.Audit // of a rule
}

// audited is what a rule needs, with its default options, and what it teaches of each model with its own.
type audited struct {
	rules.Audit
	Unreached map[string][]string `json:"unreached"` // by model, parameters that it leaves as they were drawn while the exact gradient has them
	Partly    map[string][]string `json:"partly"`    // by model, parameters of which it leaves some entries
	Refused   map[string]string   `json:"refused"`   // models that it cannot train, and why
}

// audits tries the rules out on all models.
func (p *program) audits(ctx context.Context, names ...string) (map[string]audited, error) {
	out := map[string]audited{}
	probes := map[string]*rules.Probe[float64]{}
	for _, name := range names {
		rule, err := p.parts64.Rules.Lookup(name)
		if err != nil {
			return nil, err
		}
		a := audited{Audit: rule.Value.Audit(), Unreached: map[string][]string{}, Partly: map[string][]string{}, Refused: map[string]string{}}
		for _, m := range p.parts64.Models.Entries() {
			if probes[m.Name] == nil {
				if probes[m.Name], err = rules.NewProbe[float64](m.Value); err != nil {
					return nil, err
				}
			}
			reach, err := probes[m.Name].Reach(ctx, rule.Value)
			switch {
			case ctx.Err() != nil:
				return nil, errInterrupted
			case err != nil:
				a.Refused[m.Name] = err.Error()
			default:
				if len(reach.Unreached) > 0 {
					a.Unreached[m.Name] = reach.Unreached
				}
				if len(reach.Partly) > 0 {
					a.Partly[m.Name] = reach.Partly
				}
			}
		}
		out[name] = a
	}
	return out, nil
}

// kinds lists the catalogues. Both number types have the same parts.
func (p *program) kinds() []kind {
	c := p.parts32
	settings := options.Fields(solvers.Settings{})
	return []kind{
		kindOf(c.Models, "models", "model", nil),
		kindOf(c.Solvers, "solvers", "solver", settings),
		kindOf(c.Linear, "backward", "backward", settings),
		kindOf(c.Rules, "rules", "rule", nil),
		kindOf(c.Tasks, "tasks", "task", nil),
		kindOf(c.Optimizers, "optimizers", "optimizer", nil),
		kindOf(c.Losses, "losses", "", nil),
		experimentKind(),
	}
}

func kindOf[P any](c *catalog.Catalog[P], plural, section string, common []options.Field) kind {
	k := kind{plural: plural, singular: c.Kind(), section: section, choose: section, common: common}
	if section == "" {
		k.choose = "train." + c.Kind()
	}
	for _, e := range c.Entries() {
		p := part{name: e.Name, synopsis: e.Synopsis(), doc: e.Doc, refs: e.Refs, options: options.Fields(e.Value)}
		if rule, ok := any(e.Value).(interface{ Audit() rules.Audit }); ok {
			a := rule.Audit()
			p.audit = &a
		}
		k.parts = append(k.parts, p)
	}
	return k
}

// names are the names of all parts, each once.
func (p *program) names() []string {
	var names []string
	seen := map[string]bool{}
	for _, k := range p.kinds() {
		for _, e := range k.parts {
			if !seen[e.name] {
				names = append(names, e.name)
			}
			seen[e.name] = true
		}
	}
	return names
}

// completeParts completes the names of the parts of a section, also in a list.
func (p *program) completeParts(section string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		var out []string
		for _, k := range p.kinds() {
			if k.section != section {
				continue
			}
			for _, e := range k.parts {
				out = append(out, before+e.name+"\t"+e.synopsis)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeSet completes the key of --set, and after it the value where there is a choice.
func (p *program) completeSet(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	key, _, hasValue := strings.Cut(typed, "=")
	var out []string
	for _, s := range p.settable() {
		switch {
		case !hasValue:
			out = append(out, s.path+"=\t"+s.doc)
		case s.path == key:
			for _, v := range s.choices {
				out = append(out, key+"="+v)
			}
		}
	}
	if hasValue {
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// setting is what --set can set: a part, or an option of some part.
type setting struct {
	path, doc string
	choices   []string
}

// settable lists what --set can set, each path once.
func (p *program) settable() []setting {
	var out []setting
	seen := map[string]bool{}
	add := func(path, doc string, choices []string) {
		if !seen[path] {
			out = append(out, setting{path, doc, choices})
		}
		seen[path] = true
	}
	for _, k := range p.kinds() {
		if k.section == "" {
			continue
		}
		var names []string
		for _, e := range k.parts {
			names = append(names, e.name)
		}
		add(k.section, "which "+k.singular, names)
		for _, e := range k.parts {
			for _, f := range e.options {
				add(k.section+"."+f.Key, e.name+": "+f.Doc, f.Choices)
			}
		}
		for _, f := range k.common {
			add(k.section+"."+f.Key, f.Doc, f.Choices)
		}
	}
	for _, f := range options.Fields(train.Settings{}) {
		add("train."+f.Key, f.Doc, f.Choices)
	}
	return out
}

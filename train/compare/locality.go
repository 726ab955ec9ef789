package compare

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"attractor/deq"
	"attractor/train"
	"attractor/train/rules"
)

// Locality is what one rule needs beyond what a synapse has at hand.
type Locality struct {
	Rule  string      `json:"rule"`
	Audit rules.Audit `json:"audit"`
	Reach rules.Reach `json:"reach"` // which parameters of the model it teaches
}

// Localities are the audits of rules, with the options that they have in a comparison.
func Localities[T deq.Float](ctx context.Context, base train.Config[T], parts train.Parts[T], names []string) ([]Locality, error) {
	var out []Locality
	for _, name := range names {
		c, err := chosen(name, base, parts)
		if err != nil {
			return nil, err
		}
		reach, err := rules.ReachOf(ctx, c.Rule.Value, c.Model.Value)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			reach = rules.Reach{}
		}
		out = append(out, Locality{Rule: name, Audit: c.Rule.Value.Audit(), Reach: reach})
	}
	return out, nil
}

// left says which rules leave parameters as they were drawn, a sentence each.
func (r *Result) left() []string {
	var out []string
	for _, l := range r.Locality {
		if w := l.Reach.Warning(l.Rule, r.Model, nil); w != "" {
			out = append(out, strings.ToUpper(w[:1])+w[1:]+".")
		}
	}
	return out
}

// accuracies are what a rule reaches in each setting, for a table.
func (r *Result) accuracies(rule string) []string {
	var out []string
	for i := range r.Settings {
		s := &r.Settings[i]
		text := "–"
		if row := s.Row(rule); row != nil {
			y := yardstickOf(s)
			text = strings.TrimSuffix(y.show(y.mean(row)), " %")
		}
		out = append(out, text)
	}
	return out
}

// WriteLocality writes what the rules reach beside how local they are.
func WriteLocality(w io.Writer, r *Result) error {
	if len(r.Locality) == 0 {
		return nil
	}
	t := textTable{header: []string{"rule"}}
	for i := range r.Settings {
		unit := "%"
		if yardstickOf(&r.Settings[i]).sign < 0 {
			unit = "loss"
		}
		t.header = append(t.header, strings.Replace(r.Settings[i].Name, "-", "-\n", 1)+" "+unit)
	}
	short := strings.NewReplacer("recurrent transport", "Wᵀ", "readout transport", "Woᵀ", " ", "\n")
	for _, f := range r.Locality[0].Audit.Facts() {
		t.header = append(t.header, short.Replace(f.Name))
	}
	var rows [][]string
	for _, l := range r.Locality {
		cells := append([]string{shorten(l.Rule)}, r.accuracies(l.Rule)...)
		for _, f := range l.Audit.Facts() {
			cells = append(cells, power(f.Value))
		}
		rows = append(rows, cells)
	}
	t.groups = [][][]string{rows}
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "what the rules reach, and what they need beyond what a synapse has at hand")
	t.write(b, false)
	var legend []string
	for _, f := range r.Locality[0].Audit.Facts() {
		legend = append(legend, fmt.Sprintf("%s: %s", strings.ReplaceAll(short.Replace(f.Name), "\n", " "), f.Doc))
	}
	fold(b, strings.Join(legend, "; ")+".", columns)
	for _, sentence := range r.left() {
		fold(b, sentence, columns)
	}
	return b.Flush()
}

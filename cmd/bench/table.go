package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Write prints results as a table.
func Write(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "case\tours µs\tgemm µs\tover gemm\ttape µs\ttape/ours\tallocs\t \t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%s\t\n", r.Name, number(&r.Ours), number(r.Gemm), number(r.OverGemm),
			number(r.Tape), number(r.TapeOverOurs), r.Allocs, r.note())
	}
	return t.Flush()
}

// note is what only some cases have.
func (r Result) note() string {
	s := ""
	add := func(format string, args ...any) {
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf(format, args...)
	}
	if r.Evals != nil {
		add("%.1f + %.1f evals", r.Evals.Forward, r.Evals.Backward)
	}
	if r.NSPerElement != nil {
		add("%.3f ns/element", *r.NSPerElement)
	}
	if r.GFlops != nil {
		add("%.1f Gflop/s", *r.GFlops)
	}
	if r.Forward != nil {
		add("%.2f forward passes", *r.OverForward)
	}
	if r.RuleBytes != nil {
		add("%.1f MiB of the rule's own", float64(*r.RuleBytes)/(1<<20))
	}
	if r.OneCore != nil {
		add("two cores %.2f times as fast as one", *r.OneOverTwo)
	}
	if r.OpenBLAS != nil {
		add("%.2f of OpenBLAS' speed", *r.OverOpenBLAS)
	}
	return s
}

// number prints a number to three digits, nothing for nil.
func number(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v >= 100:
		return fmt.Sprintf("%.0f", *v)
	case *v >= 10:
		return fmt.Sprintf("%.1f", *v)
	}
	return fmt.Sprintf("%.2f", *v)
}

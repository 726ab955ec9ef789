package engine

import (
	"fmt"
	"io"
	"strings"
)

func (p *program[T]) Explain(w io.Writer) {
	x := p.x
	fmt.Fprintf(w, "engine: %d rows, %d values, %d bytes\n", x.batch, len(x.values), p.Bytes())
	if p.rowWise != nil {
		fmt.Fprintf(w, "not row by row: %v\n", p.rowWise)
	}
	for r, steps := range x.steps {
		for _, k := range p.packed {
			if k.rate == Rate(r) {
				fmt.Fprintf(w, "%v: pack %s as [%d,%d]\n", Rate(r), k.label, k.key.k, k.key.n)
			}
		}
		for _, s := range steps {
			fmt.Fprintf(w, "%v: %s\n", Rate(r), s)
		}
	}
	for _, m := range p.moving {
		fmt.Fprintf(w, "compact moves rows of %d numbers in #%d\n", m.width, m.memory)
	}
}

func (s *step) String() string {
	var b strings.Builder
	if v := s.value; v != nil {
		fmt.Fprintf(&b, "#%d = %s%s", v.memory, v.label(), operands(v))
		if v.op.kind == productKind {
			fmt.Fprintf(&b, " [%d,%d]·[%d,%d]", v.m, v.k, v.k, v.n)
		}
		if v.op.kind == opaqueKind {
			b.WriteString(" by the op itself")
		}
		fmt.Fprintf(&b, " (%v)", v.rows)
	}
	for i, g := range s.groups {
		if s.value != nil || i > 0 {
			b.WriteString("; on its blocks ")
		}
		fmt.Fprintf(&b, "#%d =", g.root.memory)
		for _, m := range g.members {
			fmt.Fprintf(&b, " %s%s", m.label(), operands(m))
		}
		fmt.Fprintf(&b, " (%v)", g.root.rows)
	}
	return b.String()
}

func operands(v *value) string {
	names := make([]string, len(v.args))
	for i, a := range v.args {
		a = a.resolve()
		switch {
		case a.op.kind == inputKind && a.bound:
			names[i] = a.label()
		case a.op.kind == inputKind && a.size == 1 && len(a.data) == 1:
			names[i] = fmt.Sprint(a.data[0])
		case a.step == nil || a.memory < 0:
			names[i] = a.label()
		default:
			names[i] = fmt.Sprintf("#%d", a.memory)
		}
	}
	return "(" + strings.Join(names, ", ") + ")"
}

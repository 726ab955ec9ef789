package bench

import (
	"fmt"
	"slices"
	"strings"

	"attractor/models"
)

// Shape is the batch and the number of units of a cell.
type Shape struct{ Batch, Units int }

func (s Shape) String() string { return fmt.Sprintf("%dx%d", s.Batch, s.Units) }

// Shapes are those of the cases on cells.
var Shapes = []Shape{{1, 64}, {32, 128}, {64, 256}, {128, 512}, {256, 1024}}

const (
	inputs  = 64 // width of x in all cases
	outputs = 16 // width of the readout
	seed    = 1  // of weights and data
)

// Case is a piece of work to be measured.
type Case struct {
	Name  string // kind/shape, such as cell/64x256
	Quick bool   // small enough for a first look
	start func() (*work, error)
}

// Kind is the name up to the slash.
func (c Case) Kind() string {
	kind, _, _ := strings.Cut(c.Name, "/")
	return kind
}

// work is a case made ready to run. What a case does not have is nil or 0.
type work struct {
	ours    func() error
	gemm    func() error // the bare products in it
	oneCore func() error // ours on one core, where ours has two
	forward func() error // the forward pass in it
	// tape compiles the work for the TapeMachine; its out and that of ours are to be equal.
	tape        func() (run func() error, out func() []float32, err error)
	out         func() []float32
	evaluations *Evaluations
	bytes       *int // of a rule's own memory
	elements    int  // results of an elementwise kernel
	m, n, k     int  // of a matrix product
	still       bool // nothing may be allocated
}

// Evaluations are those of the cell and of its adjoint product in a whole step, for a
// sample on average.
type Evaluations struct {
	Forward  float64 `json:"forward"`
	Backward float64 `json:"backward"`
}

// Cases lists all cases.
func Cases() []Case {
	var all []Case
	for _, s := range Shapes {
		quick := s.Batch <= 32
		all = append(all,
			Case{fmt.Sprintf("cell/%v", s), quick, func() (*work, error) { return cellWork(rate(s.Units), s) }},
			Case{fmt.Sprintf("adjoint/%v", s), quick, func() (*work, error) { return adjointWork(rate(s.Units), s) }},
			Case{fmt.Sprintf("gru/%v", s), quick, func() (*work, error) { return cellWork(models.GRU{N: s.Units}, s) }},
			Case{fmt.Sprintf("parameters/%v", s), quick, func() (*work, error) { return gradientWork(rate(s.Units), s) }},
		)
	}
	for _, s := range Shapes[:4] {
		quick := s.Batch <= 32
		all = append(all, Case{fmt.Sprintf("step/%v", s), quick, func() (*work, error) { return stepWork(s, "anderson") }})
		for _, solver := range []string{"picard", "broyden"} {
			all = append(all, Case{fmt.Sprintf("step/%v/%s", s, solver), quick, func() (*work, error) { return stepWork(s, solver) }})
		}
		all = append(all, Case{fmt.Sprintf("bptt/%v", s), s.Batch == 1, func() (*work, error) { return bpttWork(s) }})
	}
	for _, s := range []Shape{{4, 32}, {32, 256}} {
		for _, r := range sequenceRules {
			all = append(all, Case{fmt.Sprintf("sequence/%v/%s", s, r.name), s.Batch == 4, func() (*work, error) { return sequenceWork(s, r.rule, r.far) }})
		}
	}
	all = append(all, Case{"cores/128x512", false, func() (*work, error) { return coresWork(Shape{128, 512}) }})
	for _, m := range [][3]int{{1, 256, 256}, {32, 128, 128}, {64, 256, 256}, {128, 512, 512}, {256, 1024, 1024}} {
		name, quick := fmt.Sprintf("gemm/%dx%dx%d", m[0], m[1], m[2]), m[0] <= 32
		all = append(all,
			Case{name, quick, func() (*work, error) { return gemmWork(m[0], m[1], m[2], false) }},
			Case{name + "/packed", quick, func() (*work, error) { return gemmWork(m[0], m[1], m[2], true) }})
	}
	for _, e := range elementwise {
		all = append(all, Case{"elementwise/" + e.name, true, e.work})
	}
	return all
}

// Select returns the cases whose name contains one of the words; without words, all.
func Select(cases []Case, words ...string) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool {
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(c.Name, w) })
	})
}

// Quick returns the cases for a first look.
func Quick(cases []Case) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return !c.Quick })
}

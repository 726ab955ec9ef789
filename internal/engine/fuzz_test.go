package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
	"attractor/internal/vjp"
)

// randomProgram is a random expression of two row-indexed inputs and parameters, with its
// vector–Jacobian products.
type randomProgram struct {
	batch, units int
	inputs       []Input
	outs         gorgonia.Nodes
	rowed        []bool // output has a row per sample
}

func newRandomProgram(r *rand.Rand, dt tensor.Dtype) (p randomProgram, err error) {
	p.batch, p.units = 1+r.IntN(5), 1+r.IntN(6)
	if r.IntN(5) == 0 {
		p.batch, p.units = 40, 37 // several blocks, ragged
	}
	g := gorgonia.NewGraph()
	b, n := p.batch, p.units
	slow := []Rate{Parameters, Parameters, Parameters}
	fast := []Rate{Batch, State, Linearisation, Cotangent}
	add := func(rates []Rate, name string, shape ...int) node {
		x := input(g, dt, name, shape...)
		p.inputs = append(p.inputs, Input{x, rates[r.IntN(len(rates))]})
		return x
	}
	z, x, c := add(fast, "z", b, n), add(fast, "x", b, n), add(fast, "c", b, 1)
	w, v, bias := add(slow, "W", n, n), add(slow, "V", n, n), add(slow, "b", n)
	k := add(slow, "k", 1, n)
	pool := []node{z, x}
	pick := func() node { return pool[r.IntN(len(pool))] }
	constant := constants{dt}.of
	m := gorgonia.Must
	for range 3 + r.IntN(14) {
		var y node
		switch r.IntN(20) {
		case 0:
			y = m(gorgonia.Add(pick(), pick()))
		case 1:
			y = m(gorgonia.Sub(pick(), pick()))
		case 2:
			y = m(gorgonia.HadamardProd(pick(), pick()))
		case 3:
			y = m(gorgonia.Tanh(pick()))
		case 4:
			y = m(gorgonia.Sigmoid(pick()))
		case 5:
			y = m(gorgonia.Tanh(m(gorgonia.Mul(pick(), w))))
		case 6:
			y = m(gorgonia.Tanh(m(gorgonia.Add(m(gorgonia.Mul(pick(), w)), m(gorgonia.Mul(pick(), v))))))
		case 7:
			y = m(gorgonia.BroadcastAdd(pick(), bias, nil, []byte{0}))
		case 8:
			y = m(gorgonia.BroadcastHadamardProd(pick(), bias, nil, []byte{0}))
		case 9:
			q := pick()
			y = m(gorgonia.Tanh(m(gorgonia.BroadcastSub(q, m(gorgonia.Mean(q, 1)), nil, []byte{1}))))
		case 10:
			y = m(gorgonia.HadamardProd(pick(), constant(0.5)))
		case 11:
			y = m(gorgonia.Sub(constant(1), pick()))
		case 12:
			y = m(gorgonia.Tanh(m(gorgonia.Square(pick()))))
		case 13:
			y = m(gorgonia.Rectify(pick()))
		case 14:
			y = m(gorgonia.Tanh(m(gorgonia.Mul(pick(), m(gorgonia.Transpose(w))))))
		case 15:
			y = m(gorgonia.BroadcastHadamardProd(pick(), c, nil, []byte{1}))
		case 17: // samples of several rows each
			q := m(gorgonia.Mul(m(gorgonia.Reshape(pick(), tensor.Shape{b * n, 1})), k))
			y = m(gorgonia.Tanh(m(gorgonia.Reshape(m(gorgonia.Sum(q, 1)), tensor.Shape{b, n}))))
		case 18:
			y = m(gorgonia.SoftMax(pick(), 1))
		case 19:
			q := m(gorgonia.Reshape(pick(), tensor.Shape{b, n, 1}))
			y = m(gorgonia.Reshape(m(gorgonia.Transpose(m(gorgonia.Exp(m(gorgonia.Tanh(q)))), 0, 2, 1)), tensor.Shape{b, n}))
		case 16:
			q := m(gorgonia.Concat(1, pick(), pick()))
			lo := r.IntN(n)
			// Gorgonia's softplus is off by e⁻ˣ beyond 16.
			y = m(gorgonia.Softplus(m(gorgonia.Tanh(m(gorgonia.Slice(q, nil, gorgonia.S(lo, lo+n)))))))
			if n == 1 {
				y = m(gorgonia.Reshape(y, tensor.Shape{b, 1}))
			}
		}
		pool = append(pool, y)
	}
	out := pool[len(pool)-1]
	u := add([]Rate{Cotangent, State}, "u", b, n)
	grads, err := vjp.VJP(gorgonia.Nodes{out}, gorgonia.Nodes{u}, gorgonia.Nodes{z, x, w, v, bias, k})
	if err != nil {
		return p, err
	}
	p.outs, p.rowed = gorgonia.Nodes{out}, []bool{true}
	for i, y := range grads {
		if y != nil {
			p.outs, p.rowed = append(p.outs, y), append(p.rowed, i < 2)
		}
	}
	if r.IntN(2) == 0 {
		p.outs, p.rowed = append(p.outs, pick()), append(p.rowed, true)
	}
	return p, nil
}

// rows returns the part of output i that the first rows samples decide.
func (p randomProgram) part(i, rows int, out []float64) []float64 {
	if p.rowed[i] {
		return out[:rows*len(out)/p.batch]
	}
	return out
}

func wide[T kernels.Float](s []T) []float64 {
	w := make([]float64, len(s))
	for i, v := range s {
		w[i] = float64(v)
	}
	return w
}

// fuzzOne compares the engine with the tape on one random program: with all rows, after new data at
// some rates, on a part of the rows, and after samples have left. Rows must have the
// same bits however many others run.
//
// It reports whether the tape could run the program: some ops of Gorgonia fail on a batch of one sample
// or one unit.
func fuzzOne[T kernels.Float](t *testing.T, seed uint64) bool {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 17))
	c, err := newRandomProgram(r, dtypeOf[T]())
	must(t, err)
	p, err := Compile[T](c.outs, Options{Inputs: c.inputs, Rows: c.batch})
	must(t, err)
	q, err := CompileTape[T](c.outs, Options{Inputs: c.inputs, Rows: c.batch})
	must(t, err)
	bound := 50 * tolerance[T]()
	compare := func(what string, rows int) {
		t.Helper()
		for i := range c.outs {
			got, want := c.part(i, rows, wide(p.Out(i))), c.part(i, rows, wide(q.Out(i)))
			if d := difference(got, want); !(d <= bound) {
				t.Fatalf("seed %d, %s: output %d (%v) differs by %.2g", seed, what, i, c.outs[i], d)
			}
		}
	}
	data := fill(t, r, c.inputs, false, p, q)
	small := func(d []T) { kernels.Scale(d, 0.5, d) } // so that chains of products do not grow
	for _, d := range data {
		small(d)
	}
	runAll(t, p, c.batch)
	for rate := Parameters; rate <= Cotangent; rate++ {
		if err := q.Run(rate, c.batch); err != nil {
			if min(c.batch, c.units) > 1 {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return false
		}
	}
	compare("all rows", c.batch)

	changed := Rate(int(Parameters) + r.IntN(rates-1))
	for _, in := range c.inputs {
		if in.Rate >= changed && r.IntN(2) == 0 {
			copy(data[in.Node], normal[T](r, len(data[in.Node])))
			small(data[in.Node])
		}
	}
	from := func(first Rate, rows int) {
		t.Helper()
		for rate := first; rate <= Cotangent; rate++ {
			must(t, p.Run(rate, rows))
			must(t, q.Run(rate, rows))
		}
	}
	from(changed, c.batch)
	compare(fmt.Sprintf("new data from rate %v", changed), c.batch)

	if err := p.RowWise(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	full := make([][]float64, len(c.outs))
	for i := range c.outs {
		full[i] = wide(p.Out(i))
	}
	rows := 1 + r.IntN(c.batch)
	from(Parameters, rows)
	compare("some rows", rows)
	for i := range c.outs {
		if c.rowed[i] {
			for j, v := range c.part(i, rows, wide(p.Out(i))) {
				if v != full[i][j] {
					t.Fatalf("seed %d: output %d (%v): element %d is %v with %d rows and %v with %d", seed, i, c.outs[i], j, v, rows, full[i][j], c.batch)
				}
			}
		}
	}

	from(Parameters, c.batch)
	var keep []int
	for i := range c.batch {
		if r.IntN(2) == 0 {
			keep = append(keep, i)
		}
	}
	if len(keep) == 0 {
		return true
	}
	p.Compact(keep)
	q.Compact(keep)
	for _, in := range c.inputs {
		if in.Rate >= Batch {
			compactRows(data[in.Node], len(data[in.Node])/c.batch, keep)
		}
	}
	first := Batch + Rate(r.IntN(4))
	from(first, len(keep))
	stale := false // an output or a sum over rows of a slower rate, which has not been run again
	x := p.(*program[T]).x
	for _, v := range x.values {
		stale = stale || v.rate < first && v.rate >= Batch && (v.rows == summed || v.out)
	}
	if !stale {
		compare(fmt.Sprintf("rows %v from rate %v", keep, first), len(keep))
	}
	return true
}

func TestRandomPrograms(t *testing.T) {
	n := uint64(300)
	if testing.Short() {
		n = 60
	}
	skipped := 0
	for seed := range n {
		if !fuzzOne[float64](t, seed) {
			skipped++
		}
		if seed%4 == 0 {
			fuzzOne[float32](t, seed)
		}
	}
	if skipped > int(n)/4 {
		t.Errorf("the tape failed on %d of %d programs", skipped, n)
	}
}

func FuzzPrograms(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(46))  // a reshaped value that outlives the original
	f.Add(uint64(318)) // a product that is added to itself
	f.Fuzz(func(t *testing.T, seed uint64) {
		fuzzOne[float64](t, seed)
		fuzzOne[float32](t, seed)
	})
}

package engine

import (
	"attractor/internal/kernels"
)

// emit appends the code of a step to its rate.
func (p *program[T]) emit(s *step) {
	if s.value == nil {
		g := p.newFused(s.groups[0])
		p.append(s.rate, func(rows int) error {
			g.begin()
			g.run(0, g.length(rows))
			return nil
		})
		return
	}
	switch s.value.op.kind {
	case productKind:
		p.emitProduct(s)
	case batchKind:
		p.emitBatch(s.value)
	case sumKind, maxKind:
		p.emitReduction(s.value)
	case softmaxKind, softmaxVJPKind:
		p.emitSoftmax(s.value)
	case repeatKind:
		p.emitRepeat(s.value)
	case sliceKind, scatterKind:
		p.emitSlice(s.value)
	case concatKind:
		p.emitConcat(s.value)
	case transposeKind:
		p.emitTranspose(s.value)
	case norm2Kind, norm2GradKind:
		p.emitNorm2(s.value)
	default:
		p.emitOpaque(s.value)
	}
}

func (p *program[T]) append(r Rate, f func(rows int) error) { p.code[r] = append(p.code[r], f) }

// source returns the memory index of an operand.
func source(v *value) int { return v.resolve().memory }

// packKey identifies a packed right operand.
type packKey struct {
	memory int
	trans  bool
	k, n   int
}

type packing[T kernels.Float] struct {
	key     packKey
	own     kernels.Packed[T]
	weights *kernels.Packed[T] // own, or shared
	rate    Rate
	label   string
}

// pack returns v, or its transpose, packed for products, each time that v changes.
func (p *program[T]) pack(v *value, trans bool, k, n int) *packing[T] {
	m := source(v)
	key := packKey{m, trans, k, n}
	for _, w := range p.packed {
		if w.key == key {
			return w
		}
	}
	w := &packing[T]{key: key, rate: v.rate, label: v.resolve().label()}
	w.weights = &w.own
	parameter := v.resolve().bound && v.rate == Parameters
	p.packed = append(p.packed, w)
	ld := n
	if trans {
		ld = k
	}
	p.append(v.rate, func(int) error {
		if p.shared != nil && parameter {
			w.weights = p.shared.pack(trans, k, n, p.memory[m], ld)
			return nil
		}
		w.own.Pack(trans, k, n, p.memory[m], ld)
		return nil
	})
	return w
}

// product multiplies matrices and runs groups on the result.
type product[T kernels.Float] struct {
	groups []*fused[T]
	done   func(i0, i1, j0, j1 int)
	n      int
}

// block runs the groups on finished elements [i0:i1, j0:j1] of the product.
func (q *product[T]) block(i0, i1, j0, j1 int) {
	for _, g := range q.groups {
		if j0 == 0 && j1 == q.n {
			g.run(i0*q.n, i1*q.n)
			continue
		}
		for i := i0; i < i1; i++ {
			g.run(i*q.n+j0, i*q.n+j1)
		}
	}
}

func (p *program[T]) emitProduct(s *step) {
	v := s.value
	q := &product[T]{n: v.n}
	for _, g := range s.groups {
		q.groups = append(q.groups, p.newFused(g))
	}
	if len(q.groups) > 0 {
		q.done = q.block
	}
	a, b, c := source(v.args[0]), source(v.args[1]), v.memory
	m, k := p.rowsOf(v.rows, v.m), func(int) int { return v.k }
	if v.rows == summed && v.args[0].rows != summed && v.args[0].rows != fixed &&
		(v.args[0].rows == rowed || v.args[1].rows == rowed) {
		k = p.rowsOf(rowed, v.k)
	}
	var beta T
	if len(v.args) == 3 {
		beta = 1
	}
	lda, ldb := v.k, v.n
	if v.op.transA {
		lda = v.m
	}
	if v.op.transB {
		ldb = v.k
	}
	begin := func() {
		for _, g := range q.groups {
			g.begin()
		}
	}
	whole := func(rows int) {
		if q.done != nil {
			q.done(0, m(rows), 0, v.n)
		}
	}
	switch right := v.args[1].resolve(); {
	case v.n == 1 && !v.op.transA && beta == 0:
		p.append(s.rate, func(rows int) error {
			begin()
			x, y := p.memory[a], p.memory[b][:v.k]
			for i := range m(rows) {
				p.memory[c][i] = T(kernels.Dot(x[i*v.k:(i+1)*v.k], y))
			}
			whole(rows)
			return nil
		})
	case right.rate < v.rate && !v.op.transA && v.n > 1:
		w := p.pack(v.args[1], v.op.transB, v.k, v.n)
		p.append(s.rate, func(rows int) error {
			begin()
			kernels.GemmPacked(m(rows), p.memory[a], lda, w.weights, beta, p.memory[c], v.n, q.done)
			return nil
		})
	default:
		p.append(s.rate, func(rows int) error {
			begin()
			kernels.Gemm(v.op.transA, v.op.transB, m(rows), v.n, k(rows), p.memory[a], lda, p.memory[b], ldb, beta, p.memory[c], v.n)
			whole(rows)
			return nil
		})
	}
}

func (p *program[T]) emitBatch(v *value) {
	a, b, c := source(v.args[0]), source(v.args[1]), v.memory
	lda, ldb := v.k, v.n
	if v.op.transA {
		lda = v.m
	}
	if v.op.transB {
		ldb = v.k
	}
	count := p.rowsOf(v.rows, v.outer)
	p.append(v.rate, func(rows int) error {
		for i := range count(rows) {
			kernels.Gemm(v.op.transA, v.op.transB, v.m, v.n, v.k, p.memory[a][i*v.m*v.k:], lda,
				p.memory[b][i*v.k*v.n:], ldb, 0, p.memory[c][i*v.m*v.n:], v.n)
		}
		return nil
	})
}

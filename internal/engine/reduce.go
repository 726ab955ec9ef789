package engine

import (
	"math"

	"attractor/internal/kernels"
	"attractor/internal/ops"
)

// emitReduction reduces the middle axis of [outer, count, inner]. Over a part of the rows it takes the
// first indices of outer, or of count if the batch is what is reduced.
func (p *program[T]) emitReduction(v *value) {
	from, to := source(v.args[0]), v.memory
	outer, count := p.rowsOf(v.rows, v.outer), func(int) int { return v.count }
	if v.rows == summed && v.args[0].rows == rowed {
		count = p.rowsOf(rowed, v.count)
	}
	inner := v.inner
	reduce := sumAxis[T]
	if v.op.kind == maxKind {
		reduce = maxAxis[T]
	}
	p.append(v.rate, func(rows int) error {
		reduce(p.memory[to], p.memory[from], outer(rows), count(rows), v.count, inner)
		return nil
	})
}

// sumAxis sums the first count of stride indices of the middle axis of src.
func sumAxis[T kernels.Float](dst, src []T, outer, count, stride, inner int) {
	if inner == 1 {
		kernels.RowSums(dst[:outer], outer, count, src, stride)
		return
	}
	for i := range outer {
		kernels.ColSums(dst[i*inner:(i+1)*inner], count, inner, src[i*stride*inner:], inner)
	}
}

// maxAxis is like sumAxis; the maximum of nothing is −∞.
func maxAxis[T kernels.Float](dst, src []T, outer, count, stride, inner int) {
	for i := range outer {
		row := dst[i*inner : (i+1)*inner]
		kernels.Fill(row, T(math.Inf(-1)))
		part := src[i*stride*inner:]
		for c := range count {
			kernels.Max(row, row, part[c*inner:(c+1)*inner])
		}
	}
}

// emitSoftmax computes softmax y = eˣ/Σeˣ along the middle axis, or its logarithm x − log Σeˣ, or the
// product of a cotangent g with its Jacobian: y⊙(g − Σ g⊙y), or g − eʸ·Σg for the logarithm.
func (p *program[T]) emitSoftmax(v *value) {
	from, to := source(v.args[0]), v.memory
	outer := p.rowsOf(v.rows, v.outer)
	f := softmax[T]
	cotangent := from
	switch {
	case v.op.kind == softmaxVJPKind:
		cotangent = source(v.args[1])
		f = softmaxVJP[T]
		if v.op.log {
			f = logSoftmaxVJP[T]
		}
	case v.op.log:
		f = logSoftmax[T]
	}
	line, grad, out := make([]T, v.count), make([]T, v.count), make([]T, v.count)
	p.scratch += 3 * v.count
	p.append(v.rate, func(rows int) error {
		src, cot, dst := p.memory[from], p.memory[cotangent], p.memory[to]
		for i := range outer(rows) {
			at := i * v.count * v.inner
			if v.inner == 1 {
				f(dst[at:at+v.count], src[at:at+v.count], cot[at:at+v.count])
				continue
			}
			for j := range v.inner {
				for c := range v.count {
					line[c], grad[c] = src[at+c*v.inner+j], cot[at+c*v.inner+j]
				}
				f(out, line, grad)
				for c, y := range out {
					dst[at+c*v.inner+j] = y
				}
			}
		}
		return nil
	})
}

// emitNorm2 computes the largest singular value σ of a matrix, or its gradient u·vᵀ, in float64.
func (p *program[T]) emitNorm2(v *value) {
	from, to := source(v.args[0]), v.memory
	top, wide := ops.NewTop(v.m, v.n, ops.Tolerance[T]()), make([]float64, v.m*v.n)
	p.scratch += (top.Bytes() + 8*len(wide)) / int(dtypeOf[T]().Size())
	p.append(v.rate, func(int) error {
		dst := p.memory[to]
		for i, w := range p.memory[from][:len(wide)] {
			wide[i] = float64(w)
		}
		top.SolveOnce(wide)
		if v.op.kind == norm2Kind {
			dst[0] = T(top.Sigma)
			return nil
		}
		for i, u := range top.U {
			for j, w := range top.V {
				dst[i*v.n+j] = T(u * w)
			}
		}
		return nil
	})
}

func largest[T kernels.Float](x []T) T {
	m := T(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func softmax[T kernels.Float](dst, x, _ []T) {
	kernels.SubScalar(dst, x, largest(x))
	kernels.Exp(dst, dst)
	kernels.Scale(dst, T(1/kernels.Sum(dst)), dst)
}

func logSoftmax[T kernels.Float](dst, x, _ []T) {
	m := largest(x)
	kernels.SubScalar(dst, x, m)
	kernels.Exp(dst, dst)
	kernels.SubScalar(dst, x, T(float64(m)+math.Log(kernels.Sum(dst))))
}

func softmaxVJP[T kernels.Float](dst, y, g []T) {
	s := T(kernels.Dot(g, y))
	for i, v := range y {
		dst[i] = v * (g[i] - s)
	}
}

func logSoftmaxVJP[T kernels.Float](dst, y, g []T) {
	s := T(kernels.Sum(g))
	for i, v := range y {
		dst[i] = g[i] - T(math.Exp(float64(v)))*s
	}
}

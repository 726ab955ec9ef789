package kernels

import "unsafe"

//go:generate go run ./gen

const haveAssembly = true

// isDouble is a constant to the compiler: it compiles generic code for float32
// and float64 separately.
func isDouble[T Float]() bool {
	var zero T
	return unsafe.Sizeof(zero) == 8
}

// tileSize returns the largest tile of the level, as gen/gemm.go fixes it.
func tileSize[T Float](level Level) (rows, cols int) {
	if level == Portable {
		return portableRows, portableCols
	}
	rows, cols = 6, 16
	if level == AVX512 {
		rows, cols = 14, 32
	}
	if isDouble[T]() {
		cols /= 2
	}
	return rows, cols
}

// tile computes C = C + A·B, or C = A·B unless add is set, for C [rows,cols] no
// larger than tileSize.
func tile[T Float](level Level, rows, cols, k int, a strided[T], b []T, ldb int, c []T, ldc int, add bool) {
	if level == Portable || k == 0 {
		tilePortable(rows, cols, k, a, b, ldb, c, ldc, add)
		return
	}
	pa, pb, pc := unsafe.Pointer(&a.data[0]), unsafe.Pointer(&b[0]), unsafe.Pointer(&c[0])
	switch {
	case isDouble[T]() && level == AVX512:
		tileF64AVX512(rows, cols, k, (*float64)(pa), a.rowStep, a.colStep, (*float64)(pb), ldb, (*float64)(pc), ldc, add)
	case isDouble[T]():
		tileF64AVX2(rows, cols, k, (*float64)(pa), a.rowStep, a.colStep, (*float64)(pb), ldb, (*float64)(pc), ldc, add)
	case level == AVX512:
		tileF32AVX512(rows, cols, k, (*float32)(pa), a.rowStep, a.colStep, (*float32)(pb), ldb, (*float32)(pc), ldc, add)
	default:
		tileF32AVX2(rows, cols, k, (*float32)(pa), a.rowStep, a.colStep, (*float32)(pb), ldb, (*float32)(pc), ldc, add)
	}
}

// vector computes dst = op(x, y, z, s) if there is assembly for it and says
// whether there is. All slices are as long as dst.
func vector[T Float](o op, dst, x, y, z []T, s T) bool {
	level := Current()
	if level == Portable || len(dst) == 0 {
		return false
	}
	d, px, py, pz := unsafe.Pointer(&dst[0]), unsafe.Pointer(&x[0]), unsafe.Pointer(&y[0]), unsafe.Pointer(&z[0])
	switch {
	case isDouble[T]() && level == AVX512:
		return vectorF64AVX512(o, (*float64)(d), (*float64)(px), (*float64)(py), (*float64)(pz), float64(s), len(dst))
	case isDouble[T]():
		return vectorF64AVX2(o, (*float64)(d), (*float64)(px), (*float64)(py), (*float64)(pz), float64(s), len(dst))
	case level == AVX512:
		return vectorF32AVX512(o, (*float32)(d), (*float32)(px), (*float32)(py), (*float32)(pz), float32(s), len(dst))
	default:
		return vectorF32AVX2(o, (*float32)(d), (*float32)(px), (*float32)(py), (*float32)(pz), float32(s), len(dst))
	}
}

// reduceVector sets out to the results of op if there is assembly for it and says
// whether there is.
func reduceVector[T Float](o op, out *[2]float64, x, y []T) bool {
	level, n := Current(), len(x)
	if level == Portable || n == 0 {
		return false
	}
	px, py := unsafe.Pointer(&x[0]), unsafe.Pointer(&y[0])
	switch {
	case isDouble[T]() && level == AVX512:
		reduceF64AVX512(o, &out[0], (*float64)(px), (*float64)(py), n)
	case isDouble[T]():
		reduceF64AVX2(o, &out[0], (*float64)(px), (*float64)(py), n)
	case level == AVX512:
		reduceF32AVX512(o, &out[0], (*float32)(px), (*float32)(py), n)
	default:
		reduceF32AVX2(o, &out[0], (*float32)(px), (*float32)(py), n)
	}
	return true
}

// dotsVector is reduceVector for Dots; dst and x are not empty.
func dotsVector[T Float](dst []float64, x, y []T, ldy int) bool {
	level, n := Current(), len(x)
	if level == Portable {
		return false
	}
	most := 3 // as gen/reduce.go fixes it
	if level == AVX512 {
		most = 8
	}
	px := unsafe.Pointer(&x[0])
	for j := 0; j < len(dst); j += most {
		out, py, rows := &dst[j], unsafe.Pointer(&y[j*ldy]), min(most, len(dst)-j)
		switch {
		case isDouble[T]() && level == AVX512:
			dotsF64AVX512(out, (*float64)(px), (*float64)(py), ldy, rows, n)
		case isDouble[T]():
			dotsF64AVX2(out, (*float64)(px), (*float64)(py), ldy, rows, n)
		case level == AVX512:
			dotsF32AVX512(out, (*float32)(px), (*float32)(py), ldy, rows, n)
		default:
			dotsF32AVX2(out, (*float32)(px), (*float32)(py), ldy, rows, n)
		}
	}
	return true
}

// combineVector is vector for Combine and Axpys; dst and a are not empty.
func combineVector[T Float](dst, a, x []T, ldx int, add bool) bool {
	level, n := Current(), len(dst)
	if level == Portable {
		return false
	}
	const most = 8 // as gen/combine.go fixes it
	d := unsafe.Pointer(&dst[0])
	for j := 0; j < len(a); j += most {
		pa, px, rows := unsafe.Pointer(&a[j]), unsafe.Pointer(&x[j*ldx]), min(most, len(a)-j)
		switch {
		case isDouble[T]() && level == AVX512:
			combineF64AVX512((*float64)(d), (*float64)(pa), (*float64)(px), ldx, rows, n, add)
		case isDouble[T]():
			combineF64AVX2((*float64)(d), (*float64)(pa), (*float64)(px), ldx, rows, n, add)
		case level == AVX512:
			combineF32AVX512((*float32)(d), (*float32)(pa), (*float32)(px), ldx, rows, n, add)
		default:
			combineF32AVX2((*float32)(d), (*float32)(pa), (*float32)(px), ldx, rows, n, add)
		}
		add = true
	}
	return true
}

func solveVector(a [][Together]float64, k int) bool {
	switch Current() {
	case Portable:
		return false
	case AVX512:
		solveSymmetricF64AVX512(&a[0][0], k)
	default:
		solveSymmetricF64AVX2(&a[0][0], k)
	}
	return true
}

// maxAbsVector sets the greatest |x| of the first elements by their lane, as many as
// it returns: none, or all but less than lanes.
func maxAbsVector[T Float](part *[lanes]T, x []T) int {
	level, n := Current(), len(x)/lanes*lanes
	if level == Portable || n == 0 {
		return 0
	}
	p, px := unsafe.Pointer(part), unsafe.Pointer(&x[0])
	switch {
	case isDouble[T]() && level == AVX512:
		maxAbsF64AVX512((*float64)(p), (*float64)(px), n)
	case isDouble[T]():
		maxAbsF64AVX2((*float64)(p), (*float64)(px), n)
	case level == AVX512:
		maxAbsF32AVX512((*float32)(p), (*float32)(px), n)
	default:
		maxAbsF32AVX2((*float32)(p), (*float32)(px), n)
	}
	return n
}

// transposeSize is how many rows transposeVector takes, and a multiple of which it
// takes columns; 0 where there is none.
func transposeSize[T Float](level Level) int {
	switch {
	case level == Portable:
		return 0
	case isDouble[T]():
		return 4
	}
	return 8
}

// transposeVector computes dst[p,i] = src[i,p] for transposeSize rows.
func transposeVector[T Float](dst []T, ldd int, src []T, lds, cols int) {
	d, s := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	if isDouble[T]() {
		transposeF64AVX2((*float64)(d), ldd, (*float64)(s), lds, cols)
	} else {
		transposeF32AVX2((*float32)(d), ldd, (*float32)(s), lds, cols)
	}
}

// The functions below run a step of an optimiser if there is assembly for it, and say
// whether there is. The slices are not empty.

func adamVector[T Float](p, g, m, v []T, c *AdamStep[T]) bool {
	level := Current()
	if level == Portable {
		return false
	}
	xp, xg, xm, xv, pc := unsafe.Pointer(&p[0]), unsafe.Pointer(&g[0]), unsafe.Pointer(&m[0]), unsafe.Pointer(&v[0]), unsafe.Pointer(&c.Beta1)
	switch {
	case isDouble[T]() && level == AVX512:
		adamF64AVX512((*float64)(xp), (*float64)(xg), (*float64)(xm), (*float64)(xv), (*float64)(pc), len(p))
	case isDouble[T]():
		adamF64AVX2((*float64)(xp), (*float64)(xg), (*float64)(xm), (*float64)(xv), (*float64)(pc), len(p))
	case level == AVX512:
		adamF32AVX512((*float32)(xp), (*float32)(xg), (*float32)(xm), (*float32)(xv), (*float32)(pc), len(p))
	default:
		adamF32AVX2((*float32)(xp), (*float32)(xg), (*float32)(xm), (*float32)(xv), (*float32)(pc), len(p))
	}
	return true
}

func rmsPropVector[T Float](p, g, v []T, c *RMSPropStep[T]) bool {
	level := Current()
	if level == Portable {
		return false
	}
	xp, xg, xv, pc := unsafe.Pointer(&p[0]), unsafe.Pointer(&g[0]), unsafe.Pointer(&v[0]), unsafe.Pointer(&c.Beta)
	switch {
	case isDouble[T]() && level == AVX512:
		rmsPropF64AVX512((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case isDouble[T]():
		rmsPropF64AVX2((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case level == AVX512:
		rmsPropF32AVX512((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	default:
		rmsPropF32AVX2((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	}
	return true
}

func momentumVector[T Float](p, g, v []T, c *MomentumStep[T]) bool {
	level := Current()
	if level == Portable {
		return false
	}
	xp, xg, xv, pc := unsafe.Pointer(&p[0]), unsafe.Pointer(&g[0]), unsafe.Pointer(&v[0]), unsafe.Pointer(&c.Decay)
	switch {
	case isDouble[T]() && level == AVX512:
		momentumF64AVX512((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case isDouble[T]():
		momentumF64AVX2((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case level == AVX512:
		momentumF32AVX512((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	default:
		momentumF32AVX2((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	}
	return true
}

func nesterovVector[T Float](p, g, v []T, c *MomentumStep[T]) bool {
	level := Current()
	if level == Portable {
		return false
	}
	xp, xg, xv, pc := unsafe.Pointer(&p[0]), unsafe.Pointer(&g[0]), unsafe.Pointer(&v[0]), unsafe.Pointer(&c.Decay)
	switch {
	case isDouble[T]() && level == AVX512:
		nesterovF64AVX512((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case isDouble[T]():
		nesterovF64AVX2((*float64)(xp), (*float64)(xg), (*float64)(xv), (*float64)(pc), len(p))
	case level == AVX512:
		nesterovF32AVX512((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	default:
		nesterovF32AVX2((*float32)(xp), (*float32)(xg), (*float32)(xv), (*float32)(pc), len(p))
	}
	return true
}

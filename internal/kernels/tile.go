package kernels

// tilePortable computes C = C + A·B, or C = A·B unless add is set, for C
// [rows,cols], in plain Go. The conversions T(…) forbid fused multiply-add, so
// that every architecture and every tile gives the same bits.
func tilePortable[T Float](rows, cols, k int, a strided[T], b []T, ldb int, c []T, ldc int, add bool) {
	i := 0
	if cols == portableCols {
		for ; i+2 <= rows; i += 2 {
			var s0, s1, s2, s3, t0, t1, t2, t3 T
			c0, c1 := c[i*ldc:][:4], c[(i+1)*ldc:][:4]
			if add {
				s0, s1, s2, s3 = c0[0], c0[1], c0[2], c0[3]
				t0, t1, t2, t3 = c1[0], c1[1], c1[2], c1[3]
			}
			at0, at1 := i*a.rowStep, (i+1)*a.rowStep
			for p := range k {
				y := b[p*ldb:][:4]
				u, v := a.data[at0], a.data[at1]
				s0, s1, s2, s3 = s0+T(u*y[0]), s1+T(u*y[1]), s2+T(u*y[2]), s3+T(u*y[3])
				t0, t1, t2, t3 = t0+T(v*y[0]), t1+T(v*y[1]), t2+T(v*y[2]), t3+T(v*y[3])
				at0, at1 = at0+a.colStep, at1+a.colStep
			}
			c0[0], c0[1], c0[2], c0[3] = s0, s1, s2, s3
			c1[0], c1[1], c1[2], c1[3] = t0, t1, t2, t3
		}
	}
	for ; i < rows; i++ {
		for j := range cols {
			var s T
			if add {
				s = c[i*ldc+j]
			}
			for p := range k {
				s += T(a.data[i*a.rowStep+p*a.colStep] * b[p*ldb+j])
			}
			c[i*ldc+j] = s
		}
	}
}

const portableRows, portableCols = 8, 4

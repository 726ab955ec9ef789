//go:build !amd64

package kernels

const haveAssembly = false

func tileSize[T Float](Level) (rows, cols int) { return portableRows, portableCols }

func tile[T Float](_ Level, rows, cols, k int, a strided[T], b []T, ldb int, c []T, ldc int, add bool) {
	tilePortable(rows, cols, k, a, b, ldb, c, ldc, add)
}

func vector[T Float](o op, dst, x, y, z []T, s T) bool { return false }

func reduceVector[T Float](o op, out *[2]float64, x, y []T) bool { return false }

func dotsVector[T Float](dst []float64, x, y []T, ldy int) bool { return false }

func combineVector[T Float](dst, a, x []T, ldx int, add bool) bool { return false }

func solveVector(a [][Together]float64, k int) bool { return false }

func maxAbsVector[T Float](part *[lanes]T, x []T) int { return 0 }

func transposeSize[T Float](Level) int { return 0 }

func transposeVector[T Float](dst []T, ldd int, src []T, lds, cols int) {}

func adamVector[T Float](p, g, m, v []T, c *AdamStep[T]) bool { return false }

func rmsPropVector[T Float](p, g, v []T, c *RMSPropStep[T]) bool { return false }

func momentumVector[T Float](p, g, v []T, c *MomentumStep[T]) bool { return false }

func nesterovVector[T Float](p, g, v []T, c *MomentumStep[T]) bool { return false }

//go:build !amd64

package kernels

const haveAssembly = false

func tileSize[T Float](Level) (rows, cols int) { return portableRows, portableCols }

func tile[T Float](_ Level, rows, cols, k int, a strided[T], b []T, ldb int, c []T, ldc int, add bool) {
	tilePortable(rows, cols, k, a, b, ldb, c, ldc, add)
}

func vector[T Float](o op, dst, x, y, z []T, s T) bool { return false }

func reduceVector[T Float](o op, part *[lanes]float64, x, y []T) int { return 0 }

func maxAbsVector[T Float](part *[lanes]T, x []T) int { return 0 }

func transposeSize[T Float](Level) int { return 0 }

func transposeVector[T Float](dst []T, ldd int, src []T, lds, cols int) {}

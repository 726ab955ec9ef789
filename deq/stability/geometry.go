package stability

import (
	"fmt"
	"math"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// Geometry is how vectors lie to each other, such as the readout n, the feedback vector m and the input I of a
// network with a loop.
type Geometry struct {
	Overlaps [][]float64 // a·b; on the diagonal |a|²
	Cosines  [][]float64 // a·b/(|a||b|), NaN where one is 0
}

// GeometryOf compares vectors of the same length.
func GeometryOf(vectors ...[]float64) Geometry {
	var g Geometry
	for _, a := range vectors {
		overlaps, cosines := make([]float64, len(vectors)), make([]float64, len(vectors))
		for k, b := range vectors {
			overlaps[k] = kernels.Dot(a, b)
			cosines[k] = overlaps[k] / (norm(a) * norm(b))
		}
		g.Overlaps, g.Cosines = append(g.Overlaps, overlaps), append(g.Cosines, cosines)
	}
	return g
}

// Distances are 1 − SVCCA between the activities [samples, units of its own] of networks for the same samples, for MDS.
func Distances(activities []*mat.Dense, kept float64) (*mat.SymDense, error) {
	if len(activities) < 1 {
		return nil, fmt.Errorf("stability: distances of no networks: expected at least 1")
	}
	d := mat.NewSymDense(len(activities), nil)
	for i, x := range activities {
		for k, y := range activities[:i] {
			same, err := SVCCA(x, y, kept)
			if err != nil {
				return nil, fmt.Errorf("stability: networks %d and %d: %w", k, i, err)
			}
			d.SetSym(i, k, 1-same)
		}
	}
	return d, nil
}

// SVCCA compares two sets of activities of the same samples, x [samples, units of one network] and y [samples, of
// another], by singular vector canonical correlations: each is centred and reduced to the
// principal components that hold the fraction kept of its variance (0.99, say); the mean
// canonical correlation between them is 1 for sets that are linear functions of each other.
// 1 − it is a distance between networks: see Distances.
//
// M. Raghu, J. Gilmer, J. Yosinski and J. Sohl-Dickstein, NeurIPS 2017, arXiv:1706.05806;
// N. Maheswaranathan et al., NeurIPS 2019, arXiv:1907.08549, on networks and their fixed points.
func SVCCA(x, y *mat.Dense, kept float64) (float64, error) {
	n, _ := x.Dims()
	if m, _ := y.Dims(); m != n || n < 2 {
		return 0, fmt.Errorf("stability: SVCCA of %d and %d samples: expected as many, at least 2", n, m)
	}
	if !(kept > 0 && kept <= 1) {
		return 0, fmt.Errorf("stability: SVCCA: expected to keep a fraction in (0, 1] of the variance, found %g", kept)
	}
	u, err := components(x, kept)
	if err != nil {
		return 0, err
	}
	v, err := components(y, kept)
	if err != nil {
		return 0, err
	}
	var overlap mat.Dense
	overlap.Mul(u.T(), v)
	var svd mat.SVD
	if !svd.Factorize(&overlap, mat.SVDNone) {
		return 0, fmt.Errorf("stability: SVCCA: the singular values did not converge")
	}
	mean, correlations := 0.0, svd.Values(nil)
	for _, c := range correlations {
		mean += min(1, c) / float64(len(correlations))
	}
	return mean, nil
}

// components are the orthonormal samples of the leading principal components.
func components(x *mat.Dense, kept float64) (mat.Matrix, error) {
	n, units := x.Dims()
	centred := mat.DenseCopyOf(x)
	for j := range units {
		mean := mat.Sum(x.ColView(j)) / float64(n)
		for i := range n {
			centred.Set(i, j, x.At(i, j)-mean)
		}
	}
	var svd mat.SVD
	if !svd.Factorize(centred, mat.SVDThin) {
		return nil, fmt.Errorf("stability: SVCCA: the singular values did not converge")
	}
	values, all := svd.Values(nil), 0.0
	for _, s := range values {
		all += s * s
	}
	if all == 0 {
		return nil, fmt.Errorf("stability: SVCCA: the activities do not vary from sample to sample")
	}
	k, sum := 0, 0.0
	for k < len(values) && sum < kept*all*(1-1e-12) {
		sum += values[k] * values[k]
		k++
	}
	u := new(mat.Dense)
	svd.UTo(u)
	return u.Slice(0, n, 0, k), nil
}

// MDS places points in a plane, or in dims dimensions, so that their distances are as near to those given,
// [points, points] and symmetric, as classical multidimensional scaling gets them (Torgerson 1952,
// doi:10.1007/BF02288916). It returns [points, dims], the widest dimension first.
func MDS(distances *mat.SymDense, dims int) (*mat.Dense, error) {
	n := distances.SymmetricDim()
	if n < 1 || dims < 1 {
		return nil, fmt.Errorf("stability: MDS of %d points in %d dimensions: expected at least 1", n, dims)
	}
	b := mat.NewSymDense(n, nil) // −½ D² centred in rows and columns
	rows, mean := make([]float64, n), 0.0
	for i := range n {
		for j := range n {
			d := distances.At(i, j)
			rows[i] += d * d / float64(n)
		}
		mean += rows[i] / float64(n)
	}
	for i := range n {
		for j := i; j < n; j++ {
			d := distances.At(i, j)
			b.SetSym(i, j, -(d*d-rows[i]-rows[j]+mean)/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(b, true) {
		return nil, fmt.Errorf("stability: MDS: the eigenvalues did not converge")
	}
	values, vectors := eigen.Values(nil), new(mat.Dense) // ascending
	eigen.VectorsTo(vectors)
	out := mat.NewDense(n, dims, nil)
	for d := range min(dims, n) {
		scale := math.Sqrt(max(0, values[n-1-d]))
		for i := range n {
			out.Set(i, d, scale*vectors.At(i, n-1-d))
		}
	}
	return out, nil
}

package stability

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// SVCCA compares two sets of activities of the same samples, x [samples, units of one network] and y [samples, of
// another], by singular vector canonical correlations: each is centred and reduced to the
// principal components that hold the fraction kept of its variance (0.99, say); the mean
// canonical correlation between them is 1 for sets that are linear functions of each other.
// 1 − it is a distance between networks, for MDS.
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

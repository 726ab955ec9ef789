package models

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/train/kit"
)

// Connections draws which entries of a matrix of weights [post, pre] are connections: each row has
// the share density of its entries, rounded, but at least one, chosen at random; 1 where there is one.
func Connections(seed uint64, post, pre int, density float64) []float64 {
	r, mask := kit.Stream(seed, "connections"), make([]float64, post*pre)
	each := max(1, int(math.Round(density*float64(pre))))
	for i := range post {
		for _, j := range r.Perm(pre)[:each] {
			mask[i*pre+j] = 1
		}
	}
	return mask
}

// Mask returns w ⊙ mask for a constant mask of the size of w: entries where it is 0 stay 0, whatever is
// learned.
func (s *Scope) Mask(w *gorgonia.Node, mask []float64) *gorgonia.Node {
	if !s.ready(w) {
		return nil
	}
	if w.Shape().TotalSize() != len(mask) {
		return s.fail(fmt.Errorf("mask of %d numbers for weights of shape %v", len(mask), w.Shape()))
	}
	s.consts++
	var backing any = mask
	if s.dtype == tensor.Float32 {
		narrow := make([]float32, len(mask))
		for i, v := range mask {
			narrow[i] = float32(v)
		}
		backing = narrow
	}
	value := tensor.New(tensor.WithShape(w.Shape().Clone()...), tensor.WithBacking(backing))
	n := gorgonia.NodeFromAny(s.graph, value, gorgonia.WithName(fmt.Sprintf("mask%d", s.consts)))
	return s.Mul(w, s.owned(n, "a mask"))
}

// Dale returns |w| with the signs of the presynaptic units, which are the columns of w [post, pre]: the
// first ones excite, with +|w|, the others inhibit, with −|w|.
func (s *Scope) Dale(w *gorgonia.Node, excitatory int) *gorgonia.Node {
	size := s.Abs(w)
	if s.err != nil {
		return nil
	}
	if n := w.Shape()[1]; excitatory < 1 || excitatory >= n {
		return s.fail(fmt.Errorf("%d of %d units excite under Dale's law: expected some of both kinds", excitatory, n))
	}
	return s.Concat(s.Slice(size, 0, excitatory), s.Neg(s.Slice(size, excitatory, w.Shape()[1])))
}

// Balanced draws weights [post, pre] for Dale: entries of columns that excite from N(0, σ²), of the others
// from N(0, (σf/(1−f))²), f the share of those that excite, so that the mean input of a unit is 0 for
// equal activities. σ is such that the eigenvalues of |w| with its signs, but for a few, fill the disc of
// radius Gain when a share Density of the entries is kept: the variance of an entry is then
// Density·(1 − Density·2/π) times that of w (Rajan & Abbott 2006, doi:10.1103/PhysRevLett.97.188104).
type Balanced struct {
	Gain       float64
	Excitatory int
	Density    float64
}

// Draw implements Init.
func (i Balanced) Draw(r *rand.Rand, shape []int, dst []float64) {
	columns := shape[len(shape)-1]
	f := float64(i.Excitatory) / float64(columns)
	ratio := f / (1 - f)
	sd := i.Gain / math.Sqrt(float64(columns)*i.Density*(1-i.Density*2/math.Pi)*(f+(1-f)*ratio*ratio))
	for k := range dst {
		dst[k] = sd * r.NormFloat64()
		if k%columns >= i.Excitatory {
			dst[k] *= ratio
		}
	}
}

package stability

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// drift estimates how far the mean of a record is from the value that its parts tend to, as those near a marginal point do, whose
// growth decays as c/t. Of the means m of its thirds, where both differences stand out from the scatter, it takes the limit of
// the sequence m + c/(t + t₀) through them, which for one that decays exponentially is twice as far away as it should be,
//
//	L = m₂ + 2 / (1/(m₃ − m₂) − 1/(m₂ − m₁)),
//
// where the second does not, m₃; and where the parts do not slow down, no limit is seen, the change over the record.
//
// P. Wynn, On a procrustean technique for the numerical transformation of slowly convergent sequences and series, Math. Proc. Camb.
// Philos. Soc. 52 (1956) 663–671, doi:10.1017/S030500410003173X.
func drift(blocks []float64) float64 {
	const clear = 4 // standard errors
	third := len(blocks) / 3
	if third < 2 {
		return math.Abs(blocks[len(blocks)-1] - blocks[0])
	}
	mean := stat.Mean(blocks, nil)
	m1, m2, m3 := stat.Mean(blocks[:third], nil), stat.Mean(blocks[third:len(blocks)-third], nil), stat.Mean(blocks[len(blocks)-third:], nil)
	bends := make([]float64, 0, len(blocks)) // second differences: what is left without a trend, of variance 6σ²
	for i := range blocks[2:] {
		bends = append(bends, math.Abs(blocks[i+2]-2*blocks[i+1]+blocks[i]))
	}
	slices.Sort(bends)
	scatter := bends[len(bends)/2] / 0.6745 / math.Sqrt(6) * math.Sqrt(2/float64(third))
	first, second := m2-m1, m3-m2
	seen := func(v float64) bool { return math.Abs(v) > clear*scatter && math.Abs(v) > 1e-14*math.Abs(mean) }
	switch {
	case !seen(first) && !seen(second):
		return 0
	case !seen(second):
		return math.Abs(mean - m3)
	case first*second > 0 && math.Abs(second) < 0.999999*math.Abs(first):
		return math.Abs(mean - m2 - 2/(1/second-1/first))
	}
	return math.Abs(first) + math.Abs(second)
}

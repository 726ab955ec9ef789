package tasks

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"attractor/internal/rng"
)

// Validation splits the training part into one to fit on (four fifths) and one held out
// (a fifth, rounded up), with which hyper-parameters are chosen so that the test part
// is looked at only once. Classes ([Split.Classes]) keep their shares to within one sample.
// The split is that of the seed, apart from the run's own: give 0 unless you cross-validate.
func (d *Dataset) Validation(seed uint64) (fit, held Split) {
	keep, hold := stratify(d.Train.N, d.Train.Classes(), d.Outputs, (d.Train.N+4)/5, func(class int) *rand.Rand {
		return rng.Stream(seed, "validation/split", uint64(class))
	})
	return d.Train.Select(keep), d.Train.Select(hold)
}

// stratify divides the samples 0…n-1 into those to keep and the given number to hold
// out, both in ascending order. Each class is shuffled by its own stream and gives its
// share rounded down; the largest remainders give one more (among equals, the lower
// class). No labels mean a single class.
func stratify(n int, labels []int32, classes, hold int, stream func(class int) *rand.Rand) (keep, held []int) {
	if labels == nil {
		labels, classes = make([]int32, n), 1
	}
	members := make([][]int, classes)
	for i, c := range labels {
		members[c] = append(members[c], i)
	}
	take, order, left := make([]int, classes), make([]int, classes), hold
	for c, m := range members {
		take[c] = len(m) * hold / max(n, 1)
		order[c] = c
		left -= take[c]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(len(members[b])*hold%max(n, 1), len(members[a])*hold%max(n, 1))
	})
	for _, c := range order[:left] {
		take[c]++
	}
	for c, m := range members {
		stream(c).Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
		held = append(held, m[:take[c]]...)
		keep = append(keep, m[take[c]:]...)
	}
	slices.Sort(keep)
	slices.Sort(held)
	return keep, held
}

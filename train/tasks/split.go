package tasks

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"attractor/train/kit"
)

// Validation splits the training part into one to fit on (four fifths) and one held out
// (a fifth, rounded up), with which hyper-parameters are chosen so that the test part
// is looked at only once. Classes ([Split.Classes]) keep their shares to within one sample.
// The split is that of the seed, apart from the run's own: give 0 unless you cross-validate.
func (d *Dataset) Validation(seed uint64) (fit, held Split) {
	keep, hold := d.validation(seed)
	return d.Train.Select(keep), d.Train.Select(hold)
}

func (d *Dataset) validation(seed uint64) (keep, hold []int) {
	return stratify(d.Train.N, d.Train.Classes(), d.Outputs, (d.Train.N+4)/5, func(class int) *rand.Rand {
		return kit.Stream(seed, "validation/split", uint64(class))
	})
}

// divide is what Select gives of rows to keep and of the others to hold out, both ascending. It
// takes the memory of s, and beside it for a while that of the rows held out.
func (s Split) divide(keep, held []int) (kept, out Split) {
	kept, out = s, s
	kept.N, out.N = len(keep), len(held)
	kept.X, out.X = divideRows(s.X, s.N, keep, held)
	kept.Bytes, out.Bytes = divideRows(s.Bytes, s.N, keep, held)
	kept.Labels, out.Labels = divideRows(s.Labels, s.N, keep, held)
	kept.Y, out.Y = divideRows(s.Y, s.N, keep, held)
	kept.Weights, out.Weights = divideRows(s.Weights, s.N, keep, held)
	kept.Scored, out.Scored = divideRows(s.Scored, s.N, keep, held)
	return kept, out
}

func divideRows[E any](v []E, n int, keep, held []int) (kept, out []E) {
	if v == nil {
		return nil, nil
	}
	w := width(v, n)
	aside := selectRows(v, n, held)
	for to, from := range keep {
		copy(v[to*w:(to+1)*w], v[from*w:(from+1)*w])
	}
	middle := len(keep) * w
	copy(v[middle:], aside)
	return v[:middle:middle], v[middle:]
}

// stratify divides the samples 0…n-1 into those to keep and the given number to hold
// out, both in ascending order. Each class is shuffled by its own stream and gives its
// share rounded down; the largest remainders give one more (among equals, the lower
// class). No labels mean a single class.
func stratify(n int, labels []int32, classes, hold int, stream func(class int) *rand.Rand) (keep, held []int) {
	if labels == nil {
		labels, classes = make([]int32, n), 1
	}
	each := make([]int, classes)
	for _, c := range labels {
		each[c]++
	}
	members := make([][]int, classes)
	for c, n := range each {
		members[c] = make([]int, 0, n)
	}
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
	keep, held = make([]int, 0, n-hold), make([]int, 0, hold)
	for c, m := range members {
		stream(c).Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
		held = append(held, m[:take[c]]...)
		keep = append(keep, m[take[c]:]...)
	}
	slices.Sort(keep)
	slices.Sort(held)
	return keep, held
}

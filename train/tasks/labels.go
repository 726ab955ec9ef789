package tasks

import (
	"fmt"
	"math"
	"strings"
)

// labelNotes says which classes are missing in the parts of a classification.
func (d *Dataset) labelNotes() []string {
	if d.Kind != Classification {
		return nil
	}
	train, test := counts(d.Train, d.Outputs), counts(d.Test, d.Outputs)
	var nowhere, unlearned, untested []int
	for k := range d.Outputs {
		switch {
		case train[k] == 0 && test[k] == 0:
			nowhere = append(nowhere, k)
		case train[k] == 0:
			unlearned = append(unlearned, k)
		case test[k] == 0:
			untested = append(untested, k)
		}
	}
	var notes []string
	say := func(of []int, text string) {
		if len(of) > 0 {
			notes = append(notes, fmt.Sprintf(text, classes(of)))
		}
	}
	hint := "the network has an output for each all the same: number the classes from 0 without gaps"
	if len(nowhere) > 0 && nowhere[0] == 0 {
		hint = fmt.Sprintf("labels count from 0 and here begin at %d: ", first(train, test)) + hint
	}
	say(nowhere, "no sample has the label %s; "+hint)
	say(unlearned, "only samples of the test part have the label %s, which cannot be learned")
	say(untested, "only samples of the training part have the label %s, which is not tested")
	return notes
}

// counts are the samples of each class.
func counts(s Split, classes int) []int {
	n := make([]int, classes)
	for _, l := range s.Classes() {
		n[l]++
	}
	return n
}

// first is the first class that has a sample.
func first(counts ...[]int) int {
	for k := range counts[0] {
		for _, c := range counts {
			if c[k] > 0 {
				return k
			}
		}
	}
	return 0
}

// classes lists the first of some classes, and how many more there are.
func classes(of []int) string {
	const most = 10
	var names []string
	for _, k := range of[:min(len(of), most)] {
		names = append(names, fmt.Sprint(k))
	}
	text := strings.Join(names, ", ")
	if more := len(of) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// likeLabels reports whether real numbers look like labels: all are whole and from 0 on, and some are there twice.
func likeLabels(y []float64) bool {
	seen := map[float64]bool{}
	for _, v := range y {
		if v != math.Trunc(v) || v < 0 {
			return false
		}
		seen[v] = true
	}
	return len(seen) < len(y)
}

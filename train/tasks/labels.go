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
	train, test := counts(d.Train.Classes(), d.Outputs), counts(d.Test.Classes(), d.Outputs)
	nowhere, unlearned, untested := missing(train, test)
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

// ValidationNotes says which classes [Dataset.Validation] with the seed 0 leaves without a sample to fit on or without
// one held out.
func (d *Dataset) ValidationNotes() []string {
	if d.Kind != Classification {
		return nil
	}
	labels := d.Train.Classes()
	keep, hold := d.validation(0)
	_, unlearned, untested := missing(counts(selectRows(labels, d.Train.N, keep), d.Outputs), counts(selectRows(labels, d.Train.N, hold), d.Outputs))
	var notes []string
	if len(unlearned) > 0 {
		notes = append(notes, fmt.Sprintf("all samples of the label %s are held out of the training part, so that it cannot be learned", classes(unlearned)))
	}
	if len(untested) > 0 {
		notes = append(notes, fmt.Sprintf("no sample of the label %s is held out of the training part, so that it is not tested", classes(untested)))
	}
	return notes
}

// missing are the classes without a sample in both parts, in that which is learned from, and in that which is
// tested on.
func missing(train, test []int) (nowhere, unlearned, untested []int) {
	for k := range train {
		switch {
		case train[k] == 0 && test[k] == 0:
			nowhere = append(nowhere, k)
		case train[k] == 0:
			unlearned = append(unlearned, k)
		case test[k] == 0:
			untested = append(untested, k)
		}
	}
	return nowhere, unlearned, untested
}

// counts are the samples of each class.
func counts(labels []int32, classes int) []int {
	n := make([]int, classes)
	for _, l := range labels {
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

// likeLabels reports whether real numbers look like labels: all are whole, from 0 on and fewer than
// they are, and some are there twice.
func likeLabels(parts ...[]float64) bool {
	n := 0
	for _, y := range parts {
		n += len(y)
	}
	seen, twice := make([]bool, n), false
	for _, y := range parts {
		for _, v := range y {
			if v != math.Trunc(v) || v < 0 || v >= float64(n) {
				return false
			}
			twice = twice || seen[int(v)]
			seen[int(v)] = true
		}
	}
	return twice
}

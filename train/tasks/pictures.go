package tasks

import (
	"fmt"
	"math/rand/v2"

	"attractor/internal/datasets"
	"attractor/train/kit"
)

// Normalisations of bytes; see the entries of the tasks.
const (
	unit     = "unit"
	standard = "standard"
)

// channel is the mean and the standard deviation of the bytes of a colour over the whole
// training part, as shares of 255.
type channel struct{ mean, sd float64 }

// levels is what bytes stand for.
func levels(normalize string, channels []channel) []Level {
	out := make([]Level, 1)
	if normalize == standard {
		out = make([]Level, len(channels))
	}
	for k := range out {
		for b := range out[k] {
			x := float64(b) / 255
			if normalize == standard {
				x = (x - channels[k].mean) / channels[k].sd
			}
			out[k][b] = x
		}
	}
	return out
}

// folder is a folder given by the user or else that of the set in the data folder.
func folder(set, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	dir, err := datasets.Dir(set)
	if err != nil {
		return "", fmt.Errorf("tasks: %s: %w", set, err)
	}
	return dir, nil
}

// file is the path of a file of a set.
func file(set, dir, name string) (string, error) {
	path, err := datasets.Path(set, dir, name)
	if err != nil {
		return "", fmt.Errorf("tasks: %s: %w", set, err)
	}
	return path, nil
}

// part takes n samples, all if n is 0, so that each class keeps its share. Which ones they
// are does not depend on the seed of a run: the same n gives the same samples.
func (s Split) part(task, name string, n, classes int) (Split, error) {
	if n < 0 || n > s.N {
		return Split{}, fmt.Errorf("tasks: %s: expected %s from 1 to the %d samples there are, or 0 for all, found %d", task, name, s.N, n)
	}
	if n == 0 || n == s.N {
		return s, nil
	}
	_, rows := stratify(s.N, s.Classes(), classes, n, func(class int) *rand.Rand {
		return kit.Stream(0, "subset/"+name, uint64(class))
	})
	return s.Select(rows), nil
}

// widen turns labels in bytes into those of a split.
func widen(labels []byte) []int32 {
	out := make([]int32, len(labels))
	for i, l := range labels {
		out[i] = int32(l)
	}
	return out
}

package optim

import (
	"fmt"
	"math"
	"slices"

	"attractor/train/kit"
)

// Schedule is the factor of the learning rate as a function of the step k = 0, 1, ….
// While k < warmup it is (k+1)/warmup. Then it is 1 (constant), or falls from 1 to final
// at step steps−1 and stays there, as a straight line (linear) or as half a cosine
// (cosine; Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts):
//
//	s = min(1, (k − warmup)/(steps − 1 − warmup))
//	linear: final + (1 − final)(1 − s)
//	cosine: final + (1 − final)(1 + cos πs)/2
//
// With the default final 0 the last step has the rate 0 and changes nothing: a run of 2 steps without warm-up moves
// exactly as far as its first.
type Schedule struct {
	Shape  string  `default:"constant" choices:"constant,linear,cosine" doc:"how the rate falls"`
	Warmup int     `default:"0" doc:"steps over which the rate rises linearly at the start"`
	Steps  int     `default:"0" doc:"steps of the whole run; linear and cosine need it"`
	Final  float64 `default:"0" doc:"factor at the last step of linear and cosine, in [0, 1]"`
}

var shapes = []string{"constant", "linear", "cosine"}

// Check returns an error when an option is out of range.
func (s Schedule) Check() error {
	s = kit.WithDefaults(s)
	switch {
	case !slices.Contains(shapes, s.Shape):
		return fmt.Errorf("optim: %w", kit.Unknown("schedule", s.Shape, shapes))
	case s.Warmup < 0:
		return fmt.Errorf("optim: schedule: expected warmup of at least 0, found %d", s.Warmup)
	case !(s.Final >= 0 && s.Final <= 1):
		return fmt.Errorf("optim: schedule: expected final in [0, 1], found %v", s.Final)
	case s.Shape != "constant" && s.Steps <= s.Warmup:
		return fmt.Errorf("optim: schedule: %s expects more steps than the %d of the warm-up, found %d", s.Shape, s.Warmup, s.Steps)
	}
	return nil
}

// Factor is the factor at step k; it is in [0, 1] when Check finds no fault.
func (s Schedule) Factor(k int64) float64 {
	if k < int64(s.Warmup) {
		return float64(k+1) / float64(s.Warmup)
	}
	if s.Shape == "" || s.Shape == "constant" {
		return 1
	}
	done := min(1, float64(k-int64(s.Warmup))/float64(max(1, s.Steps-1-s.Warmup)))
	left := 1 - done
	if s.Shape == "cosine" {
		left = (1 + math.Cos(math.Pi*done)) / 2
	}
	return s.Final + (1-s.Final)*left
}

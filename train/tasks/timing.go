package tasks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Period says how long a part of a trial lasts, in ms: a number, or one of
//
//	uniform MIN MAX
//	exponential MEAN MIN MAX
//
// drawn for each trial, where the exponential distribution is cut off below MIN and from MAX
// on. Empty means what the timing of the task says. A period has ⌊ms/dt⌋ steps.
type Period string

// phase is a part of a trial.
type phase struct {
	key    string // of the option
	given  Period // by the user, or empty
	preset Period // by the timing
	least  int    // steps that it must have
}

// Whose durations hold where none is given.
const (
	neurogymTiming = "neurogym"
	labTiming      = "lab"
)

// byTiming is the duration that a timing says.
func byTiming(timing string, neurogym, lab Period) Period {
	if timing == labTiming {
		return lab
	}
	return neurogym
}

// timetable is the phases of a trial, one after the other.
type timetable struct{ phases []interval }

// interval is the duration of a phase in steps, before it is rounded down.
type interval struct {
	mean     float64 // of the exponential distribution; 0 for the uniform one
	min, max float64 // equal for a fixed duration
}

// newTimetable reads the durations of a task's phases.
func newTimetable(task string, dt float64, phases ...phase) (timetable, error) {
	var t timetable
	if !(dt > 0) || math.IsInf(dt, 1) {
		return t, fmt.Errorf("tasks: %s: dt: expected a finite time above 0 ms, found %v", task, dt)
	}
	for _, p := range phases {
		text := p.given
		if text == "" {
			text = p.preset
		}
		v, ok := text.parse(dt)
		if !ok {
			return t, fmt.Errorf("tasks: %s: %s: expected a time of at least 0 ms, \"uniform MIN MAX\" or \"exponential MEAN MIN MAX\", found %q", task, p.key, text)
		}
		if v.max > syntheticLimit {
			return t, fmt.Errorf("tasks: %s: %s: expected at most %d steps of %v ms, found %q", task, p.key, syntheticLimit, dt, text)
		}
		if int(v.min) < p.least {
			return t, fmt.Errorf("tasks: %s: %s: expected at least %d step of %v ms, found %q", task, p.key, p.least, dt, text)
		}
		t.phases = append(t.phases, v)
	}
	return t, nil
}

// parse reads a period in steps of dt.
func (p Period) parse(dt float64) (interval, bool) {
	words := strings.Fields(string(p))
	names := 0
	if len(words) > 1 {
		names = 1
	}
	var v []float64
	for _, w := range words[names:] {
		x, err := strconv.ParseFloat(w, 64)
		if err != nil || !(x >= 0) || math.IsInf(x, 1) {
			return interval{}, false
		}
		v = append(v, x/dt)
	}
	switch {
	case len(words) == 1:
		return interval{min: v[0], max: v[0]}, true
	case len(words) == 3 && words[0] == "uniform" && v[0] < v[1]:
		return interval{min: v[0], max: v[1]}, true
	case len(words) == 4 && words[0] == "exponential" && v[0] > 0 && v[1] < v[2]:
		return interval{mean: v[0], min: v[1], max: v[2]}, true
	}
	return interval{}, false
}

// longest is the largest number of steps: max itself is not drawn from a distribution.
func (v interval) longest() int {
	if v.min == v.max {
		return int(v.max)
	}
	return int(math.Ceil(v.max)) - 1
}

// fixed returns the number of steps where it is not drawn.
func (v interval) fixed() (steps int, ok bool) { return int(v.min), v.min == v.max }

// draw returns a number of steps. It draws one random number, whatever the distribution.
func (v interval) draw(r *rand.Rand) int {
	u, d := r.Float64(), v.max-v.min
	if v.mean > 0 {
		// The inverse of the distribution function (1 − exp(−s/mean))/(1 − exp(−d/mean)).
		return min(int(v.min-v.mean*math.Log1p(u*math.Expm1(-d/v.mean))), v.longest())
	}
	return min(int(v.min+u*d), v.longest())
}

// steps is the length of the longest trial.
func (t timetable) steps() int {
	n := 0
	for _, v := range t.phases {
		n += v.longest()
	}
	return n
}

// draw returns the phases of a trial.
func (t timetable) draw(r *rand.Rand) []span {
	out := make([]span, len(t.phases))
	at := 0
	for i, v := range t.phases {
		n := v.draw(r)
		out[i] = span{at, at + n}
		at += n
	}
	return out
}

package compare

import (
	"fmt"
	"slices"
	"strings"
)

// mark is what stands at the name of a rule whose accuracy is doubtful: see Row.Warnings.
const mark = "†"

// marked is the name of the rule for a table.
func (r *Row) marked(name string) string {
	if len(r.Warnings) > 0 {
		return name + mark
	}
	return name
}

// Doubt says in figures over all trials why the accuracy may be none that the network's own dynamics have; it is
// empty where Warnings is.
func (r *Row) Doubt() string {
	if len(r.Warnings) == 0 {
		return ""
	}
	var parts []string
	if f := r.FixedPoints; f != nil {
		parts = append(parts, fmt.Sprintf("%s of the test samples at a fixed point", share(f.Converged, f.Samples)))
		if f.Decided() > 0 {
			parts = append(parts, fmt.Sprintf("%s of %d examined stable", share(f.Stable, f.Decided()), f.Decided()))
		}
		if f.Undecided > 0 {
			parts = append(parts, fmt.Sprintf("%d not decided", f.Undecided))
		}
	}
	if r.Unconverged > 0 {
		parts = append(parts, fmt.Sprintf("a solve failed at %d of %d samples of training", r.Unconverged, r.Samples))
	}
	return strings.Join(parts, ", ")
}

// doubts explains the mark, row by row: nothing where no row has it.
func doubts(s *Setting) (lines []string) {
	for i := range s.Rules {
		if doubt := s.Rules[i].Doubt(); doubt != "" {
			lines = append(lines, s.Rules[i].Rule+": "+doubt)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if more := len(lines) - many; more > 0 {
		lines = append(lines[:many], fmt.Sprintf("%d more, see the report", more))
	}
	return []string{mark + " the network's own dynamics, iterating the cell, may not have this accuracy: " + strings.Join(lines, "; ")}
}

// certain says that the dynamics have the accuracies, where that was looked at and no row is marked.
func certain(s *Setting) string {
	found, stable, examined := 1.0, 1.0, 0
	for i := range s.Rules {
		f := s.Rules[i].FixedPoints
		if f == nil || f.Decided() == 0 {
			continue
		}
		found, stable = min(found, f.ConvergedShare()), min(stable, f.StableShare())
		examined = max(examined, f.Decided()/len(s.Rules[i].Trials))
	}
	if examined == 0 || slices.ContainsFunc(s.Rules, func(r Row) bool { return len(r.Warnings) > 0 }) {
		return ""
	}
	least := func(v float64) string {
		if v == 1 {
			return "all"
		}
		return fmt.Sprintf("at least %.1f %%", 100*v)
	}
	return fmt.Sprintf("accuracy: at fixed points for %s of the test samples, %s of %d examined a trial stable, so that iterating the cell has it", least(found), least(stable), examined)
}

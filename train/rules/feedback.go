package rules

import (
	"context"
	"fmt"
	"slices"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// standIns are parameters that stand in for the matrices with a role, drawn like them.
func standIns[T deq.Float](l *deq.Layer[T], role models.Role, fixed bool) []Parameter {
	var out []Parameter
	for _, p := range l.Params {
		if p.Role == role && len(p.Shape) == 2 {
			out = append(out, Parameter{Param: p.Param, Fixed: fixed, Beside: p.Name})
		}
	}
	return out
}

// Way is how credit goes back through the recurrent weights of a cell.
type Way struct {
	Recurrent string `default:"none" doc:"what stands in for Wᵀ in the adjoint: nothing (credit stops at the state, as with jfb), the transpose of W itself, or that of a fixed random matrix" choices:"none,transpose,random"`
}

// check reports what the way lacks.
func (w Way) check(name string, single func() error) error {
	if w.Recurrent != "random" {
		return nil
	}
	if err := single(); err != nil {
		return fmt.Errorf("rules: %s with recurrent: random needs a cell φ(zWᵀ + xUᵀ + b): %w", name, err)
	}
	return nil
}

// audit is that of ℓ = ∂L/∂y·B taken this way.
func (w Way) audit() Audit {
	solves := w.Recurrent == "transpose" || w.Recurrent == "random"
	a := Audit{RecurrentTransport: w.Recurrent == "transpose", Solve: solves, Memory: "n", Time: "n^2"}
	if solves {
		a.Time = "k n^2"
	}
	return a
}

// feedbackParameters are stand-ins for the readout and, where the way is random, for the
// recurrent weights.
func feedbackParameters[T deq.Float](l *deq.Layer[T], w Way, fixed bool) []Parameter {
	list := standIns(l, models.Readout, fixed)
	if w.Recurrent == "random" {
		list = append(list, standIns(l, models.Recurrent, true)...)
	}
	return list
}

// twin is the network with the weights b in the places of those whose names they have.
func (s Situation[T]) twin(b deq.Params[T]) (*deq.Layer[T], error) {
	return s.Layer().Twin(func(p deq.Params[T]) {
		for _, t := range b {
			copy(p.Data(t.Name), t.Data)
		}
	})
}

// readoutGradients are gradients of which those of the readout alone have entries.
func readoutGradients[T deq.Float](l *deq.Layer[T]) deq.Params[T] {
	g := slices.Clone(l.Params)
	for i, p := range g {
		if g[i].Data = nil; !p.Role.OfCell() {
			g[i].Data = make([]T, len(p.Data))
		}
	}
	return g
}

// feedBack adds uᵀ ∂f/∂θ to g, with u = ℓ for the way none and else the adjoint of ℓ, where ℓ is
// the output's error dy taken back through the readout of a twin with the weights b. With
// learn not nil, the gradients of the twin's readout are added to it.
func (s Situation[T]) feedBack(ctx context.Context, w Way, b, learn, g deq.Params[T]) (Report, error) {
	twin, err := s.twin(b)
	if err != nil {
		return Report{}, err
	}
	u := make([]T, len(s.Z))
	if err := twin.ReadoutVJP(s.Z, s.Output.DY, u, learn); err != nil {
		return Report{}, err
	}
	report := Report{Bytes: bytesOf(u)}
	if w.Recurrent == "transpose" || w.Recurrent == "random" {
		var solve *solvers.Report
		var err error
		credit := append([]T(nil), u...)
		if w.Recurrent == "transpose" {
			solve, err = s.Adjoint(ctx, credit, u, s.Backward)
		} else {
			solve, err = s.AdjointThrough(ctx, twin, credit, u, s.Backward)
		}
		if err != nil {
			return Report{}, fmt.Errorf("rules: adjoint of the feedback: %w", err)
		}
		report.Solves, report.Bytes = append(report.Solves, adjoint("the adjoint of the feedback", solve)), report.Bytes+bytesOf(credit)
	}
	return report, s.PullBack(u, g)
}

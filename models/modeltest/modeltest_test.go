package modeltest_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"attractor/internal/mustfail"
	"attractor/models"
	"attractor/models/modeltest"
)

// powerLaw is a rate network whose power law is written by a logarithm: at a unit that is silent its slope is
// 0·∞, which is not a number.
type powerLaw struct{ models.Rate }

func (m powerLaw) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	a := s.Relu(s.Add(s.Linear("W", z), s.Bias("b", s.Linear("U", x))))
	return s.Exp(s.Scale(2.2, s.Log(a)))
}

func TestRefusesNaN(t *testing.T) {
	mustfail.With(t, "off by NaN", func(t *testing.T) { modeltest.Test(t, powerLaw{models.Rate{N: 7}}) })
}

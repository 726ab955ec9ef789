package liu2024

import (
	"testing"

	"attractor/train/experiments/experimenttest"
)

func TestExperiments(t *testing.T) { experimenttest.Run(t, Entries()) }

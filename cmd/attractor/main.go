// Attractor trains recurrent and deep-equilibrium networks by different learning rules
// and compares them. A program of one's own that adds a model, a solver, a rule or a task
// looks the same: see package cli.
package main

import (
	"attractor/cmd/cli"
	"attractor/train"
)

func main() {
	cli.Main(train.Ours[float32](), train.Ours[float64]())
}

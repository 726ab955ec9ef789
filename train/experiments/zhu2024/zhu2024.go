// Package zhu2024 reproduces V. Zhu and R. Rosenbaum, "Learning Fixed Points of Recurrent
// Neural Networks by Reparameterizing the Network Model", Neural Computation 36 (2024)
// 1568–1600, arXiv:2307.06732.
//
// Figures 1 to 3 are about a linear network r = Wr + x, the rest about a tanh network that
// classifies images. Three rules change W:
//
//	gradient          −η ∇_W J, the Euclidean gradient
//	reparam-steepest  steepest descent under the distance ‖(I − W)⁻¹ − (I − W′)⁻¹‖
//	reparam-gradient  gradient descent under the Riemannian form of that distance
package zhu2024

import (
	"fmt"

	"attractor/internal/catalog"
	"attractor/train/experiments"
)

const ref = `@article{zhu2024learning,
  title   = {Learning Fixed Points of Recurrent Neural Networks by Reparameterizing the Network Model},
  author  = {Zhu, Vicky and Rosenbaum, Robert},
  journal = {Neural Computation},
  volume  = {36},
  number  = {8},
  pages   = {1568--1600},
  year    = {2024},
  eprint  = {2307.06732},
  archiveprefix = {arXiv}
}`

// Entries lists the experiments.
func Entries() []catalog.Entry[experiments.Experiment] {
	refs := []string{ref}
	return []catalog.Entry[experiments.Experiment]{
		{Name: "zhu2024/fig1", Value: experiments.Func(fig1), Refs: refs, Doc: fig1Doc},
		{Name: "zhu2024/fig2", Value: experiments.Func(fig2), Refs: refs, Doc: fig2Doc},
		{Name: "zhu2024/fig3", Value: experiments.Func(fig3), Refs: refs, Doc: fig3Doc},
		{Name: "zhu2024/digits", Value: experiments.Func(digits), Refs: refs, Doc: digitsDoc},
		{Name: "zhu2024/mnist", Value: experiments.Quirky{Func: mnist, Quirk: mnistQuirk}, Refs: refs, Doc: mnistDoc},
	}
}

const (
	paper   = "Zhu & Rosenbaum 2024"
	derived = "derived"
)

// published reports whether the numbers of the paper are to be expected, which were drawn
// from its seed.
func published(o experiments.Options) bool { return seedOf(o) == paperSeed }

// seedOf is the seed that is used.
func seedOf(o experiments.Options) uint64 {
	if o.Seed == 0 {
		return paperSeed
	}
	return o.Seed
}

func seedNote(o experiments.Options) string {
	if published(o) {
		return fmt.Sprintf("The published seed %d, from NumPy's generator.", paperSeed)
	}
	return fmt.Sprintf("NumPy's generator with seed %d; the paper's numbers are of seed %d and are not checked.", o.Seed, paperSeed)
}

// Package mastrogiuseppe2019 reproduces figure 1e of F. Mastrogiuseppe and S. Ostojic, "A Geometrical
// Analysis of Global Stability in Trained Feedback Networks", Neural Computation 31 (2019)
// 1139–1182, arXiv:1809.02386, and has experiments of its own in the spirit of the rest of the
// paper, beside simulated networks.
//
// The network dx/dt = −x + gχφ(x) + m z + I, z = nᵀφ(x), is to hold z = A at a constant input I; n alone is
// trained. What happens depends on the geometry of n, m and I. Where figure 1e is concerned the
// published parameters and stored data are compared with; the body of the paper was not at hand, and no
// other number here is the paper's: they were derived, and checked with simulated networks, by us.
package mastrogiuseppe2019

import (
	"attractor/internal/catalog"
	"attractor/models/meanfield"
	"attractor/train/experiments"
)

const ref = `@article{mastrogiuseppe2019geometrical,
  title   = {A Geometrical Analysis of Global Stability in Trained Feedback Networks},
  author  = {Mastrogiuseppe, Francesca and Ostojic, Srdjan},
  journal = {Neural Computation},
  volume  = {31},
  number  = {6},
  pages   = {1139--1182},
  year    = {2019},
  doi     = {10.1162/neco_a_01187},
  eprint  = {1809.02386},
  archiveprefix = {arXiv}
}`

// Entries lists the experiments.
func Entries() []catalog.Entry[experiments.Experiment] {
	refs := []string{ref}
	return []catalog.Entry[experiments.Experiment]{
		{Name: "mastrogiuseppe2019/fig1e", Value: experiments.Func(fig1e), Refs: refs, Doc: fig1eDoc},
		{Name: "mastrogiuseppe2019/classes", Value: experiments.Func(classes), Refs: refs, Doc: classesDoc},
		{Name: "mastrogiuseppe2019/ls", Value: experiments.Func(leastSquares), Refs: refs, Doc: leastSquaresDoc},
		{Name: "mastrogiuseppe2019/chaos", Value: experiments.Func(chaos), Refs: refs, Doc: chaosDoc},
		{Name: "mastrogiuseppe2019/rls", Value: experiments.Func(rls), Refs: refs, Doc: rlsDoc},
		{Name: "mastrogiuseppe2019/performance", Value: experiments.Func(performance), Refs: refs, Doc: performanceDoc},
	}
}

// Where expected numbers come from.
const (
	published = "Mastrogiuseppe & Ostojic 2019, figure 1e"
	derived   = "derived"
	theory    = "mean-field theory"
	ours      = "our own bound"
)

// The vectors and the direction of n of figure 1e.
var (
	vectors   = meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.5}
	direction = meanfield.Direction{Xi: 1, EtaM: 1, EtaI: 0.3}
)

// digit is one unit in the last place of numbers with four decimals.
const digit = 1e-4

// seedOf is the seed that is used.
func seedOf(o experiments.Options) uint64 { return max(o.Seed, 1) }

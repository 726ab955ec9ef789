// Package liu2024 reproduces what the abstract of W. Liu, X. Zhang and Y. H. Liu claims, "The
// Influence of Initial Connectivity on Biologically Plausible Learning", arXiv:2410.11164 (2024):
// that the size of the initial recurrent weights matters to biologically plausible rules as it
// does to back-propagation through time, that the largest Lyapunov exponent before and after
// training shows what training has to change, and that gradient flossing helps such rules too.
//
// The body of the paper and its code were not at hand. Settings are the published ones of the same
// laboratory or of the works that the paper builds on; no number here is the paper's.
package liu2024

import (
	"attractor/internal/catalog"
	"attractor/train/experiments"
)

const ref = `@misc{liu2024influence,
  title         = {The Influence of Initial Connectivity on Biologically Plausible Learning},
  author        = {Liu, Weixuan and Zhang, Xinyue and Liu, Yuhan Helena},
  year          = {2024},
  eprint        = {2410.11164},
  archiveprefix = {arXiv}
}`

const bellecRef = `@article{bellec2020solution,
  title   = {A Solution to the Learning Dilemma for Recurrent Networks of Spiking Neurons},
  author  = {Bellec, Guillaume and Scherr, Franz and Subramoney, Anand and Hajek, Elias and Salaj, Darjan and Legenstein, Robert and Maass, Wolfgang},
  journal = {Nature Communications},
  volume  = {11},
  pages   = {3625},
  year    = {2020},
  doi     = {10.1038/s41467-020-17236-y}
}`

const sussilloRef = `@article{sussillo2009generating,
  title   = {Generating Coherent Patterns of Activity from Chaotic Neural Networks},
  author  = {Sussillo, David and Abbott, L. F.},
  journal = {Neuron},
  volume  = {63},
  number  = {4},
  pages   = {544--557},
  year    = {2009},
  doi     = {10.1016/j.neuron.2009.07.018}
}`

// Entries lists the experiments.
func Entries() []catalog.Entry[experiments.Experiment] {
	return []catalog.Entry[experiments.Experiment]{
		{Name: "liu2024/grad", Value: experiments.Func(grad), Refs: []string{ref, bellecRef, murrayRef, engelkenRef}, Doc: gradDoc},
		{Name: "liu2024/align", Value: experiments.Func(align), Refs: []string{ref, bellecRef, mdglRef, marschallRef}, Doc: alignDoc},
		{Name: "liu2024/lyap-gain", Value: experiments.Func(lyapGain), Refs: []string{ref, molgedeyRef}, Doc: lyapGainDoc},
		{Name: "liu2024/lyap-train", Value: experiments.Func(lyapTrain), Refs: []string{ref}, Doc: lyapTrainDoc},
		{Name: "liu2024/gain", Value: experiments.Func(gain), Refs: []string{ref, bellecRef}, Doc: gainDoc},
		{Name: "liu2024/floss", Value: experiments.Func(floss), Refs: []string{ref, engelkenRef, bellecRef}, Doc: flossDoc},
		{Name: "liu2024/xor", Value: experiments.Func(xor), Refs: []string{ref, engelkenRef}, Doc: xorDoc},
		{Name: "liu2024/rflo-sine", Value: experiments.Func(rfloSine), Refs: []string{ref, murrayRef, sussilloRef}, Doc: rfloSineDoc},
	}
}

// Where expected numbers come from.
const (
	theory   = "theory"
	measured = "measured with another program" // in NumPy, float64
)

// seedOf is the seed that is used.
func seedOf(o experiments.Options) uint64 { return max(o.Seed, 1) }

package rules

import (
	"attractor/deq"
	"attractor/train/kit"
)

// Entry is an entry of Catalog: a name, a documentation, references and a Rule.
type Entry[T deq.Float] = kit.Entry[Rule[T]]

// Catalog lists the learning rules.
func Catalog[T deq.Float]() *kit.Catalog[Rule[T]] {
	return kit.Must("rule",
		implicitEntry[T](),
		rbpEntry[T](),
		jfbEntry[T](),
		bpttEntry[T](),
		tbpttEntry[T](),
		ePropEntry[T](),
		rfloEntry[T](),
		snap1Entry[T](),
		threeFactorEntry[T](),
		mdglEntry[T](),
		modPropEntry[T](),
		rtrlEntry[T](),
		uoroEntry[T](),
		kfRTRLEntry[T](),
		kernlEntry[T](),
		neumannEntry[T](),
		phantomEntry[T](),
		shineEntry[T](),
		unrolledEntry[T](),
		reversibleEntry[T](),
		reparamGradientEntry[T](),
		reparamHalfEntry[T](),
		reparamSteepestEntry[T](),
		eqPropEntry[T](),
		holomorphicEqPropEntry[T](),
		chlEntry[T](),
		feedbackAlignmentEntry[T](),
		signSymmetricEntry[T](),
		kolenPollackEntry[T](),
		nodePerturbationEntry[T](),
		weightPerturbationEntry[T](),
		leastControlEntry[T](),
		leastControlLearnedEntry[T](),
		forceEntry[T](),
	)
}

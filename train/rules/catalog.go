package rules

import (
	"attractor/deq"
	"attractor/internal/catalog"
)

// Entry is an entry of Catalog: a name, a documentation, references and a Rule.
type Entry[T deq.Float] = catalog.Entry[Rule[T]]

// Catalog lists the learning rules.
func Catalog[T deq.Float]() *catalog.Catalog[Rule[T]] {
	return catalog.Must("rule",
		Entry[T]{Name: "implicit", Value: Implicit[T]{}, Doc: `exact gradient by the implicit function theorem

Solves (I − Jᵀ)u = ∂L/∂z* with the backward solver (J = ∂f/∂z at z*) and returns uᵀ∂f/∂θ.
Memory does not depend on the number of solver iterations. It needs the transpose of J,
weight transport in the words of neuroscience. Almeida and Pineda called its relaxation
recurrent back-propagation; Bai et al. brought it to deep equilibrium models.`,
			Refs: []string{`@inproceedings{bai2019deep,
  title     = {Deep Equilibrium Models},
  author    = {Bai, Shaojie and Kolter, J. Zico and Koltun, Vladlen},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {32},
  year      = {2019},
  eprint    = {1909.01377},
  archiveprefix = {arXiv}
}`, `@article{pineda1987generalization,
  title   = {Generalization of Back-Propagation to Recurrent Neural Networks},
  author  = {Pineda, Fernando J.},
  journal = {Physical Review Letters},
  volume  = {59},
  pages   = {2229--2232},
  year    = {1987},
  doi     = {10.1103/PhysRevLett.59.2229}
}`}},
		Entry[T]{Name: "jfb", Value: JFB[T]{}, Doc: `Jacobian-free back-propagation: the adjoint's first term alone

Takes u = ∂L/∂z* in place of the adjoint and returns uᵀ∂f/∂θ: one vector–Jacobian product
and no linear solve. Credit that has to travel through W is lost; the direction still
descends where f contracts enough.`,
			Refs: []string{`@inproceedings{fung2022jfb,
  title     = {{JFB}: Jacobian-Free Backpropagation for Implicit Networks},
  author    = {Fung, Samy Wu and Heaton, Howard and Li, Qiuwei and McKenzie, Daniel and Osher, Stanley and Yin, Wotao},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2022},
  eprint    = {2103.12803},
  archiveprefix = {arXiv}
}`}},
		Entry[T]{Name: "bptt", Value: BPTT[T]{}, Doc: `back-propagation through the relaxation to the fixed point

Runs z ← f(z, x) for a fixed number of steps from 0, reads the last state out and
back-propagates through all steps. Exact for that relaxation, and the implicit gradient in the limit
of many steps. Stores every state: memory grows with the steps.`,
			Refs: []string{`@article{werbos1990backpropagation,
  title   = {Backpropagation Through Time: What It Does and How to Do It},
  author  = {Werbos, Paul J.},
  journal = {Proceedings of the IEEE},
  volume  = {78},
  number  = {10},
  pages   = {1550--1560},
  year    = {1990},
  doi     = {10.1109/5.58337}
}`}},
		Entry[T]{Name: "reparam-gradient", Value: ReparamGradient[T]{}, Doc: `gradient descent in the geometry of the fixed points, without an adjoint solve

For a cell φ(zWᵀ + xUᵀ + b), with G = diag φ′ and v = ∂L/∂z*:
ΔW = [(I − WG)Gv] [(I − GW)ᵀ(I − GW)z*]ᵀ, ΔU = a xᵀ, Δb = a with a = (I − WG)Gv.
The exact gradient times positive definite matrices on both sides: a descent direction for each
sample. It shrinks near instability, where the exact gradient explodes. The forms for U and b
are this project's extension.`,
			Refs: []string{`@article{zhu2024learning,
  title   = {Learning Fixed Points of Recurrent Neural Networks by Reparameterizing the Network Model},
  author  = {Zhu, Vicky and Rosenbaum, Robert},
  journal = {Neural Computation},
  volume  = {36},
  number  = {8},
  pages   = {1568--1600},
  year    = {2024},
  eprint  = {2307.06732},
  archiveprefix = {arXiv}
}`}},
		Entry[T]{Name: "eqprop", Value: EqProp[T]{}, Doc: `equilibrium propagation, vector-field form with centred nudging

Relaxes two further phases z = f(z) ∓ β∂ℓ/∂z from z* and returns uᵀ∂f/∂θ with
u = (z^−β − z^+β)/(2β). No backward pass: credit is carried by the same dynamics. u tends to
(I − J)⁻¹∂L/∂z*, which is the adjoint (I − Jᵀ)⁻¹∂L/∂z* only where J is symmetric.`,
			Refs: []string{`@article{scellier2017equilibrium,
  title   = {Equilibrium Propagation: Bridging the Gap between Energy-Based Models and Backpropagation},
  author  = {Scellier, Benjamin and Bengio, Yoshua},
  journal = {Frontiers in Computational Neuroscience},
  volume  = {11},
  pages   = {24},
  year    = {2017},
  doi     = {10.3389/fncom.2017.00024}
}`, `@article{scellier2018generalization,
  title   = {Generalization of Equilibrium Propagation to Vector Field Dynamics},
  author  = {Scellier, Benjamin and Goyal, Anirudh and Binas, Jonathan and Mesnard, Thomas and Bengio, Yoshua},
  year    = {2018},
  eprint  = {1808.04873},
  archiveprefix = {arXiv}
}`, `@article{laborieux2021scaling,
  title   = {Scaling Equilibrium Propagation to Deep ConvNets by Drastically Reducing Its Gradient Estimator Bias},
  author  = {Laborieux, Axel and Ernoult, Maxence and Scellier, Benjamin and Bengio, Yoshua and Grollier, Julie and Querlioz, Damien},
  journal = {Frontiers in Neuroscience},
  volume  = {15},
  year    = {2021},
  doi     = {10.3389/fnins.2021.633674}
}`}},
	)
}

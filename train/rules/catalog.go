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
		Entry[T]{Name: "neumann", Value: Neumann[T]{}, Doc: `the first terms of the adjoint's Neumann series

Returns uᵀ∂f/∂θ with u = Σ_{i<k} (Jᵀ)ⁱ ∂L/∂z*, at k − 1 products with Jᵀ. One term is jfb; many
tend to the exact gradient where the spectral radius of J is below 1.`,
			Refs: []string{`@inproceedings{geng2021attention,
  title     = {Is Attention Better Than Matrix Decomposition?},
  author    = {Geng, Zhengyang and Guo, Meng-Hao and Chen, Hongxu and Li, Xia and Wei, Ke and Lin, Zhouchen},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2109.04553},
  archiveprefix = {arXiv}
}`, `@inproceedings{lorraine2020optimizing,
  title     = {Optimizing Millions of Hyperparameters by Implicit Differentiation},
  author    = {Lorraine, Jonathan and Vicol, Paul and Duvenaud, David},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  year      = {2020},
  eprint    = {1911.02590},
  archiveprefix = {arXiv}
}`}},
		Entry[T]{Name: "phantom", Value: Phantom[T]{}, Doc: `phantom gradient: a few damped steps from z*, differentiated

Returns uᵀ∂f/∂θ with u = τΣ_{i<k} (τJᵀ + (1−τ)I)ⁱ ∂L/∂z*, which is the derivative of k steps
z ← (1−τ)z + τf(z, x) from z*. Damping tames eigenvalues of J that the Neumann series cannot.
k − 1 products with Jᵀ.`,
			Refs: []string{`@inproceedings{geng2021training,
  title     = {On Training Implicit Models},
  author    = {Geng, Zhengyang and Zhang, Xin-Yu and Bai, Shaojie and Wang, Yisen and Lin, Zhouchen},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2111.05177},
  archiveprefix = {arXiv}
}`}},
		Entry[T]{Name: "shine", Value: Shine[T]{}, Doc: `the forward solver's inverse of the Jacobian, shared with the adjoint

Takes u = −Hᵀ∂L/∂z* with the low-rank H ≈ (J − I)⁻¹ of Broyden's method and returns uᵀ∂f/∂θ: no
product with Jᵀ at all. Samples whose u is much longer than ∂L/∂z* fall back to ∂L/∂z*;
refine: k goes on with k products from u. Needs solver: broyden or broyden-bad.`,
			Refs: []string{`@inproceedings{ramzi2022shine,
  title     = {{SHINE}: {SH}aring the {IN}verse Estimate from the forward pass for bi-level optimization and implicit models},
  author    = {Ramzi, Zaccharie and Mannel, Florian and Bai, Shaojie and Starck, Jean-Luc and Ciuciu, Philippe and Moreau, Thomas},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  eprint    = {2106.00553},
  archiveprefix = {arXiv}
}`}},
		Entry[T]{Name: "unrolled", Value: Unrolled[T]{}, Doc: `back-propagation through the Picard iterations, with checkpoints

The gradient of bptt to the last bit in a memory of T/c + c states instead of T: one state in c
is kept, the others are computed again on the way back, at the price of a second run of the cell.`,
			Refs: []string{`@misc{chen2016training,
  title  = {Training Deep Nets with Sublinear Memory Cost},
  author = {Chen, Tianqi and Xu, Bing and Zhang, Chiyuan and Guestrin, Carlos},
  year   = {2016},
  eprint = {1604.06174},
  archiveprefix = {arXiv}
}`, `@article{griewank2000revolve,
  title   = {Algorithm 799: Revolve: An Implementation of Checkpointing for the Reverse or Adjoint Mode of Computational Differentiation},
  author  = {Griewank, Andreas and Walther, Andrea},
  journal = {ACM Transactions on Mathematical Software},
  volume  = {26},
  number  = {1},
  pages   = {19--45},
  year    = {2000},
  doi     = {10.1145/347837.347846}
}`}},
		Entry[T]{Name: "reversible", Value: Reversible[T]{}, Doc: `back-propagation through a relaxation that is run backwards (RevDEQ)

Relaxes two coupled states, y ← (1−β)y + βf(z, x) and z ← (1−β)z + βf(y, x), and recovers them
from the last ones on the way back: exact for that relaxation, in a memory that does not depend
on the steps. Rounding grows on the way back; the drift is measured and reported, and a sample
with more than max_drift counts as failed.`,
			Refs: []string{`@misc{mccallum2025reversible,
  title  = {Reversible Deep Equilibrium Models},
  author = {McCallum, Sam and Arora, Kamran and Foster, James},
  year   = {2025},
  eprint = {2509.12917},
  archiveprefix = {arXiv}
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
		Entry[T]{Name: "reparam-gradient-half", Value: ReparamHalf[T]{}, Doc: `reparam-gradient without the gain on the left

For a cell φ(zWᵀ + xUᵀ + b), with G = diag φ′ and v = ∂L/∂z*:
ΔW = [(I − WG)v] [(I − WG)ᵀ(I − WG)z*]ᵀ, ΔU = a xᵀ, Δb = a with a = (I − WG)v.
The exact gradient times positive definite matrices on both sides, where φ increases: a
descent direction for each sample, without an adjoint solve. The forms for U and b are
this project's extension.`,
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

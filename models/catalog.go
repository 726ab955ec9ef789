package models

import "attractor/train/kit"

// Entry is an entry of Catalog: a name, a documentation, references and a Model.
type Entry = kit.Entry[Model]

// Catalog lists the models.
var Catalog = kit.Must("model",
	Entry{
		Name: "rate",
		Doc: `rate network, z ← (1−α)z + α·φ(zWᵀ + xUᵀ + b)

State z [batch, units], input x [batch, inputs], linear readout y = z·Woᵀ + bo. In the form v the
state is currents, v ← (1−α)v + α(φ(v)Wᵀ + xUᵀ + b), y = φ(v)·Woᵀ + bo.
W starts as gain·randn/√units, whose eigenvalues fill the disc of radius gain; with
gain·max φ′ below 1 the cell is likely to contract and its fixed point to be unique.
With normalize weight W is g·W/‖W‖ row by row, with spectral it is scaled to a spectral norm
of at most bound: below 1 the cell contracts whatever is learned, since no φ is steeper than 1.
With density below 1 connections are missing, with dale units excite or inhibit, and noise adds to
the drive of the units through time. The parameter W is then not the weights of the network. These are
W_eff = M ⊙ S ⊙ |W|, with dale, and else M ⊙ W: M [units, units] has 1 where there is a connection,
round(density·units) of every row drawn from wiring, and 0 elsewhere; S is 1 in the first
round(dale·units) columns and −1 in the others. normalize acts on W_eff, row norms and spectral norm
being those after mask and signs. Checkpoints hold W_eff as effective/W beside params/W; masked entries
of W do not act, and those below 0 act by their size. Dropout multiplies the state of the sample that W_eff
weighs by a mask of 0 with probability dropout and 1/(1 − dropout) otherwise, while the network is trained.
Parameters: W [units, units], U [units, inputs], b [units], Wo [outputs, units], bo [outputs],
and g [units, 1] with normalize weight.`,
		Refs: []string{`@article{sompolinsky1988chaos,
  title   = {Chaos in Random Neural Networks},
  author  = {Sompolinsky, H. and Crisanti, A. and Sommers, H. J.},
  journal = {Physical Review Letters},
  volume  = {61},
  pages   = {259--262},
  year    = {1988},
  doi     = {10.1103/PhysRevLett.61.259}
}`, `@inproceedings{salimans2016weight,
  title     = {Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks},
  author    = {Salimans, Tim and Kingma, Diederik P.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {29},
  year      = {2016},
  eprint    = {1602.07868},
  archiveprefix = {arXiv}
}`, `@inproceedings{miyato2018spectral,
  title     = {Spectral Normalization for Generative Adversarial Networks},
  author    = {Miyato, Takeru and Kataoka, Toshiki and Koyama, Masanori and Yoshida, Yuichi},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
  eprint    = {1802.05957},
  archiveprefix = {arXiv}
}`, `@article{song2016training,
  title   = {Training Excitatory-Inhibitory Recurrent Neural Networks for Cognitive Tasks: A Simple and Flexible Framework},
  author  = {Song, H. Francis and Yang, Guangyu R. and Wang, Xiao-Jing},
  journal = {PLOS Computational Biology},
  volume  = {12},
  number  = {2},
  pages   = {e1004792},
  year    = {2016},
  doi     = {10.1371/journal.pcbi.1004792}
}`},
		Value: Rate{},
	},
	Entry{
		Name: "gru",
		Doc: `gated recurrent unit as an equilibrium cell, z ← (1−u)⊙z + u⊙n

u = σ(zWuᵀ + xUuᵀ + bu), r = σ(zWrᵀ + xUrᵀ + br), n = tanh((r⊙z)Wnᵀ + xUnᵀ + bn).
State z [batch, units], input x [batch, inputs], linear readout y = z·Woᵀ + bo. The fixed
points are those of the candidate n; the update gate u is a leak that each unit sets itself. With
reset after, n = tanh(r⊙(zWnᵀ) + xUnᵀ + bn).
Rules that need a cell with a single activation cannot train it.
Parameters: Wu, Wr, Wn [units, units], Uu, Ur, Un [units, inputs], bu, br, bn [units],
Wo [outputs, units], bo [outputs].`,
		Refs: []string{`@inproceedings{cho2014learning,
  title     = {Learning Phrase Representations using {RNN} Encoder--Decoder for Statistical Machine Translation},
  author    = {Cho, Kyunghyun and van Merri{\"e}nboer, Bart and Gulcehre, Caglar and Bahdanau, Dzmitry and Bougares, Fethi and Schwenk, Holger and Bengio, Yoshua},
  booktitle = {Proceedings of EMNLP},
  pages     = {1724--1734},
  year      = {2014},
  doi       = {10.3115/v1/D14-1179},
  eprint    = {1406.1078},
  archiveprefix = {arXiv}
}`},
		Value: GRU{},
	},
	Entry{
		Name: "lstm",
		Doc: `long short-term memory, c ← f⊙c + i⊙g, h ← q⊙tanh(c)

Gates i, f, q = σ(hWᵀ + xUᵀ + b) and candidate g = tanh(hWgᵀ + xUgᵀ + bg). State z = [h | c] [batch,
2·units], input x [batch, inputs], linear readout y = h·Woᵀ + bo. Made for sequences; as an equilibrium
c = i⊙g/(1−f).
Parameters: Wi, Wf, Wg, Wq [units, units], Ui, Uf, Ug, Uq [units, inputs], bi, bf, bg, bq [units],
Wo [outputs, units], bo [outputs].`,
		Refs: []string{`@article{hochreiter1997long,
  title   = {Long Short-Term Memory},
  author  = {Hochreiter, Sepp and Schmidhuber, J{\"u}rgen},
  journal = {Neural Computation},
  volume  = {9},
  number  = {8},
  pages   = {1735--1780},
  year    = {1997},
  doi     = {10.1162/neco.1997.9.8.1735}
}`, `@article{gers2000learning,
  title   = {Learning to Forget: Continual Prediction with {LSTM}},
  author  = {Gers, Felix A. and Schmidhuber, J{\"u}rgen and Cummins, Fred},
  journal = {Neural Computation},
  volume  = {12},
  number  = {10},
  pages   = {2451--2471},
  year    = {2000},
  doi     = {10.1162/089976600300015015}
}`},
		Value: LSTM{},
	},
	Entry{
		Name: "mondeq",
		Doc: `monotone operator equilibrium network: one fixed point, whatever training does

z ← φ(zWᵀ + xUᵀ + b) with W = (1−m)I − AᵀA + B − Bᵀ, so that I − W ⪰ mI.
State z [batch, units], input x [batch, inputs], linear readout y = z·Woᵀ + bo.
Parameters: A, B [units, units], U [units, inputs], b [units], Wo [outputs, units], bo [outputs].`,
		Refs: []string{`@inproceedings{winston2020monotone,
  title     = {Monotone Operator Equilibrium Networks},
  author    = {Winston, Ezra and Kolter, J. Zico},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020},
  eprint    = {2006.08591},
  archiveprefix = {arXiv}
}`},
		Value: MonDEQ{},
	},
	feedbackEntry(),
)

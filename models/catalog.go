package models

import "attractor/internal/catalog"

// Entry is an entry of Catalog: a name, a documentation, references and a Model.
type Entry = catalog.Entry[Model]

// Catalog lists the models.
var Catalog = catalog.Must("model",
	Entry{
		Name: "rate",
		Doc: `rate network, z ← (1−α)z + α·φ(zWᵀ + xUᵀ + b)

State z [batch, units], input x [batch, inputs], linear readout y = z·Woᵀ + bo.
W starts as gain·randn/√units, whose eigenvalues fill the disc of radius gain; with
gain·max φ′ below 1 the cell is likely to contract and its fixed point to be unique.
Parameters: W [units, units], U [units, inputs], b [units], Wo [outputs, units], bo [outputs].`,
		Refs: []string{`@article{sompolinsky1988chaos,
  title   = {Chaos in Random Neural Networks},
  author  = {Sompolinsky, H. and Crisanti, A. and Sommers, H. J.},
  journal = {Physical Review Letters},
  volume  = {61},
  pages   = {259--262},
  year    = {1988},
  doi     = {10.1103/PhysRevLett.61.259}
}`},
		Value: Rate{},
	},
)

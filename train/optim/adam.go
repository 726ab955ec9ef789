package optim

import (
	"errors"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

const adamDoc = `gradient descent with a rate per parameter, from two moments of the gradient
m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) at step t = 1, 2, …:
θ ← θ − ηλθ − ηm̂/(√v̂ + ε). The weight decay λ is decoupled from the gradient (AdamW; 0 by
default, which is Adam). The state is two numbers per parameter.`

const adamwDoc = `Adam with decoupled weight decay, 0.01 by default
The equations of adam with λ = 0.01: θ ← θ − ηλθ − ηm̂/(√v̂ + ε).`

const adamRef = `@inproceedings{kingma2015adam,
  author        = {Kingma, Diederik P. and Ba, Jimmy},
  title         = {Adam: A Method for Stochastic Optimization},
  booktitle     = {International Conference on Learning Representations},
  year          = {2015},
  eprint        = {1412.6980},
  archivePrefix = {arXiv}
}`

const adamwRef = `@inproceedings{loshchilov2019adamw,
  author        = {Loshchilov, Ilya and Hutter, Frank},
  title         = {Decoupled Weight Decay Regularization},
  booktitle     = {International Conference on Learning Representations},
  year          = {2019},
  eprint        = {1711.05101},
  archivePrefix = {arXiv}
}`

// Adam is Adam and AdamW; see their entries in [Catalog].
type Adam[T kernels.Float] struct {
	kit.Zeros
	LR          float64 `default:"0.001" doc:"learning rate η"`
	Beta1       float64 `default:"0.9" doc:"decay β₁ of the mean gradient, in (0, 1)"`
	Beta2       float64 `default:"0.999" doc:"decay β₂ of the mean squared gradient, in (0, 1)"`
	Eps         float64 `default:"1e-8" doc:"ε, which bounds the rate where gradients vanish"`
	WeightDecay float64 `default:"0" doc:"decoupled weight decay λ"`
}

// Start implements [Optimizer].
func (o Adam[T]) Start(params []Param) (State[T], error) {
	o = kit.WithDefaults(o)
	if err := errors.Join(
		between("adam", "lr", o.LR, 0, math.Inf(1)),
		between("adam", "beta1", o.Beta1, 0, 1),
		between("adam", "beta2", o.Beta2, 0, 1),
		positive[T]("adam", "eps", o.Eps),
		between("adam", "weight_decay", o.WeightDecay, 0, math.Inf(1)),
	); err != nil {
		return nil, err
	}
	b1, b2, eps := T(o.Beta1), T(o.Beta2), T(o.Eps)
	c1, c2 := T(1-o.Beta1), T(1-o.Beta2)
	begin := func(s *state[T], scale float64) {
		t := float64(s.steps)
		s.rate = o.LR * scale
		s.a = s.rate / (1 - math.Pow(o.Beta1, t))
		s.b = 1 / (1 - math.Pow(o.Beta2, t))
	}
	return start(params, []string{"m", "v"}, begin, func(s *state[T], i int, p, g []T) {
		kernels.Adam(p, g, s.slots[0][i], s.slots[1][i], kernels.AdamStep[T]{
			Beta1: b1, Rest1: c1, Beta2: b2, Rest2: c2,
			Rate: T(s.a), Inv: T(s.b), Eps: eps, Keep: T(1 - s.rate*o.WeightDecay),
		})
	})
}

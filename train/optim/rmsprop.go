package optim

import (
	"errors"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

const rmspropDoc = `gradient descent with a rate per parameter, from the mean squared gradient
v ← βv + (1−β)g², θ ← θ − ηg/(√v + ε), with v = 0 at the start and no correction for it, as
in PyTorch: the first steps are 1/√(1−β) times longer. The state is one number per parameter.`

const rmspropRef = `@misc{tieleman2012rmsprop,
  author       = {Tieleman, Tijmen and Hinton, Geoffrey},
  title        = {Lecture 6.5: {RMSProp}: Divide the gradient by a running average of its recent magnitude},
  howpublished = {Coursera: Neural Networks for Machine Learning},
  year         = {2012}
}`

// RMSProp is RMSProp; see its entry in [Catalog].
type RMSProp[T kernels.Float] struct {
	kit.Zeros
	LR    float64 `default:"0.001" doc:"learning rate η"`
	Decay float64 `default:"0.9" doc:"decay β of the mean squared gradient, in (0, 1)"`
	Eps   float64 `default:"1e-8" doc:"ε, which bounds the rate where gradients vanish"`
}

// Start implements [Optimizer].
func (o RMSProp[T]) Start(params []Param) (State[T], error) {
	o = kit.WithDefaults(o)
	if err := errors.Join(
		between("rmsprop", "lr", o.LR, 0, math.Inf(1)),
		between("rmsprop", "decay", o.Decay, 0, 1),
		positive[T]("rmsprop", "eps", o.Eps),
	); err != nil {
		return nil, err
	}
	beta, rest, eps := T(o.Decay), T(1-o.Decay), T(o.Eps)
	begin := func(s *state[T], scale float64) { s.rate = o.LR * scale }
	return start(params, []string{"v"}, begin, func(s *state[T], i int, p, g []T) {
		kernels.RMSProp(p, g, s.slots[0][i], kernels.RMSPropStep[T]{Beta: beta, Rest: rest, Rate: T(s.rate), Eps: eps})
	})
}

package optim

import (
	"errors"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

const sgdDoc = `gradient descent, with momentum
g ← g + λθ; without momentum θ ← θ − ηg. With momentum µ: v ← µv + g, then θ ← θ − ηv,
or with Nesterov's correction θ ← θ − η(g + µv). The momentum is not damped, as in
Sutskever et al. (2013) and PyTorch: steady gradients give steps of ηg/(1−µ). The weight
decay λ is an L2 penalty, part of the gradient. The state is one number per parameter
with momentum, nothing without.`

const sgdRef = `@inproceedings{sutskever2013momentum,
  author    = {Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey},
  title     = {On the importance of initialization and momentum in deep learning},
  booktitle = {Proceedings of the 30th International Conference on Machine Learning},
  pages     = {1139--1147},
  year      = {2013}
}`

// SGD is gradient descent; see its entry in [Catalog].
type SGD[T kernels.Float] struct {
	kit.Zeros
	LR          float64 `default:"0.01" doc:"learning rate η"`
	Momentum    float64 `default:"0" doc:"momentum µ, in [0, 1)"`
	Nesterov    bool    `default:"false" doc:"whether momentum is Nesterov's"`
	WeightDecay float64 `default:"0" doc:"L2 penalty λ"`
}

// Start implements [Optimizer].
func (o SGD[T]) Start(params []Param) (State[T], error) {
	o = kit.WithDefaults(o)
	if err := errors.Join(
		between("sgd", "lr", o.LR, 0, math.Inf(1)),
		between("sgd", "momentum", o.Momentum, 0, 1),
		between("sgd", "weight_decay", o.WeightDecay, 0, math.Inf(1)),
	); err != nil {
		return nil, err
	}
	if o.Nesterov && o.Momentum == 0 {
		return nil, errors.New("optim: sgd: nesterov needs a momentum above 0")
	}
	decay, mu := T(o.WeightDecay), T(o.Momentum)
	begin := func(s *state[T], scale float64) { s.rate = o.LR * scale }
	if o.Momentum == 0 {
		return start(params, nil, begin, func(s *state[T], _ int, p, g []T) {
			rate := T(s.rate)
			if decay == 0 {
				kernels.Axpy(-rate, g, p)
				return
			}
			for j, gj := range g {
				p[j] -= rate * (gj + decay*p[j])
			}
		})
	}
	return start(params, []string{"v"}, begin, func(s *state[T], i int, p, g []T) {
		c := kernels.MomentumStep[T]{Decay: decay, Mu: mu, Rate: T(s.rate)}
		if o.Nesterov {
			kernels.Nesterov(p, g, s.slots[0][i], c)
		} else {
			kernels.Momentum(p, g, s.slots[0][i], c)
		}
	})
}

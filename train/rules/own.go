package rules

import (
	"math/rand/v2"

	"attractor/deq"
	"attractor/models"
	"attractor/train/kit"
)

// Parametric is a rule with parameters of its own, such as feedback weights: they are not part
// of the network, but of what teaches it. A run draws them from its seed, hands them to
// every call as Own, moves those that are not fixed with its optimiser and keeps them in its
// checkpoints.
type Parametric[T deq.Float] interface {
	Rule[T]
	Parameters(l *deq.Layer[T]) []Parameter
}

// Parameter is a parameter of a rule's own. One that stands in for a parameter of the model
// has its name and role.
type Parameter struct {
	models.Param
	Fixed  bool   // stays as it is drawn
	Beside string // the parameter of the model beside which it learns: it is fixed where that one is
}

// Own are a rule's own parameters, in the order of its Parameters, and their gradients, to
// which Gradient adds; those of fixed ones have no entries.
type Own[T deq.Float] struct{ Params, Grads deq.Params[T] }

// NewOwn draws the parameters of a rule's own from the seed, each by the stream "rule/NAME":
// nothing where the rule is not Parametric. learns says which parameters of the model
// learn; nil means all.
func NewOwn[T deq.Float](rule Rule[T], l *deq.Layer[T], seed uint64, learns func(name string) bool) Own[T] {
	parametric, ok := rule.(Parametric[T])
	if !ok {
		return Own[T]{}
	}
	list := parametric.Parameters(l)
	drawn := make([]models.Param, len(list))
	for i, p := range list {
		drawn[i] = p.Param
	}
	own := Own[T]{Params: deq.Draw[T](drawn, seed, "rule/")}
	own.Grads = own.Params.ZerosLike()
	for i, p := range list {
		if p.Fixed || p.Beside != "" && learns != nil && !learns(p.Beside) {
			own.Grads[i].Data = nil
		}
	}
	return own
}

// Bytes is the memory of the parameters and their gradients.
func (o Own[T]) Bytes() int { return o.Params.Bytes() + o.Grads.Bytes() }

// diagonal is a square matrix that starts as a multiple of the identity.
type diagonal struct{ value float64 }

// Draw implements models.Init.
func (i diagonal) Draw(_ *rand.Rand, shape []int, dst []float64) {
	clear(dst)
	for k := range shape[0] {
		dst[k*shape[1]+k] = i.value
	}
}

// Randomness is where a rule draws from: its zero value will do.
type Randomness struct{ Seed, Step uint64 }

// Stream begins the stream of a name, of which a run has one at every step. It is the same
// at every call, so that rules that draw from it remain pure.
func (r Randomness) Stream(name string) *rand.Rand {
	return kit.Stream(r.Seed, "rule/"+name, r.Step)
}

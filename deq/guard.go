package deq

import (
	"fmt"
)

// guard holds the parameters as they should be.
type guard[T Float] struct{ params Params[T] }

// Guard is for tests: from now on the layer compares its parameters, whenever it computes or is updated, with what they
// were at the last Update, and fails where anything else has written to them. The error names the parameter. So does
// that of the function returned, which looks once more. It costs a copy of the parameters, and a comparison each time.
func (l *Layer[T]) Guard() (check func() error) {
	l.guard = &guard[T]{params: l.Params.ZerosLike()}
	l.guard.keep(l.Params)
	return func() error { return l.guard.check(l) }
}

func (g *guard[T]) keep(p Params[T]) {
	if g != nil {
		g.params.CopyFrom(p)
	}
}

func (g *guard[T]) check(l *Layer[T]) error {
	if p := l.moved(); p >= 0 {
		return fmt.Errorf("deq: the memory of parameter %s was replaced: write to its Data, by Update", l.memory[p].Name)
	}
	for i, is := range l.Params {
		for k, was := range g.params[i].Data {
			if v := is.Data[k]; v != was && (v == v || was == was) {
				return fmt.Errorf("deq: parameter %s was written to other than by Update: its entry %d is %v, and was %v", is.Name, k, v, was)
			}
		}
	}
	return nil
}

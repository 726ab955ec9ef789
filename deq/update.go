package deq

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrStale says that an equilibrium, a trajectory, their sides or a twin was asked to compute although the parameters
// of the layer, or its masks of dropout, have changed since it was made. What it holds, such as Z, can still be read.
var ErrStale = errors.New("deq: made before the parameters of the layer, or its masks of dropout, changed: solve, run or look again")

// Update is how parameters change: it calls change, which writes to their Data, and makes all that was computed from the
// old values stale (see ErrStale), whether or not change returns an error, as parameters may have moved by then. That
// error is returned as it is. During change the layer is in use: it computes nothing then, nor does its twin.
//
// The memory of the parameters stays the same. Where change puts other Data in its place this is undone, which is an error.
func (l *Layer[T]) Update(change func(p Params[T]) error) error {
	if err := l.take(0); err != nil {
		return err
	}
	defer l.done()
	defer l.updated() // also after a panic
	return cmp.Or(change(l.Params), l.restoreMemory())
}

// Vary is for what is only tried, such as finite differences: it runs work with the parameters as change leaves them, and
// puts them back. What was made before is not stale then; what work has made is.
func (l *Layer[T]) Vary(change func(p Params[T]) error, work func() error) (err error) {
	var saved Params[T]
	state, drawn := l.state.Load(), l.drawn
	defer func() {
		if saved == nil {
			return
		}
		restored := l.Update(saved.Into)
		if restored == nil && l.drawn == drawn {
			l.state.Store(state)
		}
		err = cmp.Or(err, restored)
	}()
	if err := l.Update(func(p Params[T]) error {
		saved = p.ZerosLike()
		saved.CopyFrom(p)
		return change(p)
	}); err != nil {
		return err
	}
	return work()
}

// updated begins a new version of the parameters.
func (l *Layer[T]) updated() {
	l.version++
	l.changed()
	l.weights.Changed()
	if l.source != nil {
		l.foreign = differences(l.Params, l.source.Params)
	}
	l.guard.keep(l.Params)
}

// changed begins a new state of parameters and masks.
func (l *Layer[T]) changed() {
	l.states++
	l.state.Store(l.states)
}

// restoreMemory reports parameters whose memory is another, which no program reads, and gives them their own again.
func (l *Layer[T]) restoreMemory() error {
	if p := l.moved(); p >= 0 {
		name := l.memory[p].Name
		l.Params = slices.Clone(l.memory)
		return fmt.Errorf("deq: the memory of parameter %s is another: write to its Data instead of replacing them", name)
	}
	return nil
}

// moved is the first parameter whose memory is not that which the programs read, −1 if there is none.
func (l *Layer[T]) moved() int {
	for i, own := range l.memory {
		if i >= len(l.Params) || len(l.Params[i].Data) != len(own.Data) || len(own.Data) > 0 && &l.Params[i].Data[0] != &own.Data[0] {
			return i
		}
	}
	return -1
}

// fresh reports what was made in another state of the layer than that of now, 0 for what has none, and a twin whose source has
// moved on.
func (l *Layer[T]) fresh(made uint64) error {
	if made != 0 && made != l.state.Load() || l.source != nil && l.origin != l.source.state.Load() {
		return ErrStale
	}
	if l.guard != nil {
		return l.guard.check(l)
	}
	return nil
}

package deq

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"attractor/models"
)

// mask is a mask of dropout of the model, with its numbers for the whole batch.
type mask[T Float] struct {
	models.Mask
	columns int
	data    []T // [batch, columns]
}

// takeMasks lists the masks that an expression has, each once: 1 everywhere until they are drawn.
func (l *Layer[T]) takeMasks(e *expression) error {
	for _, m := range e.masks {
		columns := m.Node.Shape()[1]
		i := slices.IndexFunc(l.masks, func(o mask[T]) bool { return o.Name == m.Name })
		if i >= 0 {
			if o := l.masks[i]; o.columns != columns || o.P != m.P {
				return fmt.Errorf("two masks of the model are named %q", m.Name)
			}
			continue
		}
		own := mask[T]{Mask: models.Mask{Name: m.Name, P: m.P}, columns: columns, data: make([]T, l.config.Batch*columns)}
		for k := range own.data {
			own.data[k] = 1
		}
		l.masks = append(l.masks, own)
	}
	return nil
}

// DrawMasks draws the masks of the model's dropout for what is solved from now on: an entry is 0 with the
// mask's probability p, and 1/(1−p) otherwise. A solve, its adjoint and its derivatives have
// one mask, sample by sample of the batch. With nil, and at first, nothing is dropped:
// masks are 1. An Equilibrium or a Trajectory with other masks is stale: see ErrStale.
func (l *Layer[T]) DrawMasks(r *rand.Rand) {
	for _, m := range l.masks {
		for k := range m.data {
			switch {
			case r == nil:
				m.data[k] = 1
			case r.Float64() < m.P:
				m.data[k] = 0
			default:
				m.data[k] = T(1 / (1 - m.P))
			}
		}
	}
	l.masksChanged()
}

func (l *Layer[T]) masksChanged() {
	if len(l.masks) > 0 {
		l.drawn++
		l.changed()
	}
}

// CopyMasks gives a layer the masks of another one of the same model.
func CopyMasks[T, S Float](to *Layer[T], from *Layer[S]) {
	for i, m := range to.masks {
		for k := range min(len(m.data), len(from.masks[i].data)) {
			m.data[k] = T(from.masks[i].data[k])
		}
	}
	to.masksChanged()
}

// bindMasks gives a program the masks of the samples rows of its shard, or of one sample of the
// batch, counted from 1, for all.
func (s *shard[T]) bindMasks(u *unit[T], rows []int, one int) error {
	for i, node := range u.expr.masks {
		m := s.layer.masks[slices.IndexFunc(s.layer.masks, func(o mask[T]) bool { return o.Name == node.Name })]
		for len(u.masks) <= i {
			u.masks = append(u.masks, nil)
		}
		if one > 0 {
			u.masks[i] = append(u.masks[i][:0], slices.Repeat(m.data[(one-1)*m.columns:one*m.columns], len(rows))...)
		} else {
			u.masks[i] = gather(u.masks[i], m.data[s.start*m.columns:], rows, m.columns)
		}
		if err := u.program.Bind(node.Node, u.masks[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkMasks reports masks that do not have a row per sample.
func checkMasks(masks []models.Mask, rows int) error {
	for _, m := range masks {
		if got := m.Node.Shape()[0]; got != rows {
			return fmt.Errorf("mask %q has %d rows for %d samples: only what has a row per sample can be dropped", m.Name, got, rows)
		}
	}
	return nil
}

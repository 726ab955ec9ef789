package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/train"
	"attractor/train/tasks"
)

// passive looks on while a rule drives: at every so many steps at the gradient that drives, and
// at a few moments at all rules (gallery). What it needs it has for itself, so that neither the
// run's numbers nor its times or memory are touched.
type passive[T deq.Float] struct {
	every     int
	driver    *train.Trainer[T]
	parts     train.Parts[T]
	twin      *train.Trainer[T] // nil until it is needed
	batch     tasks.Batch[T]    // of twin
	reference *reference
	gallery   *gallery[T] // nil for none

	points []CosinePoint
	looks  []Look
	radius float64 // largest spectral radius of ∂f/∂z over the last batch looked at
	worst  float64 // largest so far
	err    error   // that ended the looking on
}

// Observe implements train.Observer.
func (p *passive[T]) Observe(ctx context.Context, s train.Step[T]) error {
	p.err = p.observe(ctx, s)
	return p.err
}

func (p *passive[T]) observe(ctx context.Context, s train.Step[T]) error {
	if s.Index%p.every == 0 {
		if err := p.compare(ctx, s); err != nil {
			return err
		}
	}
	if p.gallery != nil && slices.Contains(p.gallery.moments, s.Index) {
		look, err := p.gallery.look(ctx, p.reference, s)
		if err != nil {
			return fmt.Errorf("compare: look at step %d: %w", s.Index, err)
		}
		p.looks = append(p.looks, look)
	}
	return nil
}

// compare compares the gradient that drives with the exact one of the same batch and parameters,
// at the fixed point that the state which was read out belongs to: of the samples that have one.
func (p *passive[T]) compare(ctx context.Context, s train.Step[T]) error {
	exact, err := gradientOf(ctx, p.reference, s.Layer, s.Batch.Rows, widen(s.Z))
	if err != nil {
		return err
	}
	point := CosinePoint{Step: s.Index, Cosine: math.NaN(), NormRatio: math.NaN(), Samples: len(exact.rows), Missing: exact.missing, Unstable: exact.unstable}
	grads := s.Grads
	if exact.missing > 0 && point.Samples > 0 {
		if grads, err = p.again(ctx, s, exact.rows); err != nil {
			return err
		}
	}
	if point.Samples > 0 && grads != nil {
		var all match
		point.PerParam = map[string]float64{}
		for _, i := range s.Trained {
			if !grads[i].Role.OfCell() {
				continue
			}
			own := matchOf(grads[i].Data, exact.Grads[i].Data)
			point.PerParam[grads[i].Name] = own.cosine()
			all.add(own)
		}
		point.Cosine, point.NormRatio = all.cosine(), all.ratio()
	}
	p.points = append(p.points, point)
	if p.driver.Data.Steps > 0 {
		return nil
	}
	if p.radius = exact.radius; !(p.worst >= p.radius) {
		p.worst = p.radius
	}
	return nil
}

// again is the gradient of the rule that drives in its step, of some of the samples only: of rows of the training data.
// It is nil where the rule has none for them.
func (p *passive[T]) again(ctx context.Context, s train.Step[T], rows []int) (deq.Params[T], error) {
	if p.twin == nil {
		var err error
		if p.twin, err = p.newTwin(); err != nil {
			return nil, err
		}
	}
	p.twin.Step = s.Index
	p.twin.Own.Params.CopyFrom(p.driver.Own.Params)
	deq.CopyMasks(p.twin.Layer, s.Layer)
	p.batch.Gather(p.driver.Data.Train, rows)
	step, err := p.twin.Look(ctx, s.Params, &p.batch, nil)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, nil
	}
	return step.Grads, nil
}

// newTwin is a trainer like that of the run.
func (p *passive[T]) newTwin() (*train.Trainer[T], error) {
	c := onlooking(p.driver.Config)
	c.Regularizer = p.driver.Config.Regularizer
	t, err := train.NewOn(c, p.parts, p.driver.Data)
	if err != nil {
		return nil, fmt.Errorf("compare: %s looks on: %w", c.Rule.Name, err)
	}
	return t, nil
}

// match is what is compared of two gradients, a rule's r and the exact g.
type match struct {
	rg, rr, gg   float64 // ⟨r, g⟩, ‖r‖², ‖g‖²
	agree, signs float64 // entries of one sign, of those with g ≠ 0
}

func matchOf[R, G deq.Float](r []R, g []G) (m match) {
	for k, x := range r {
		a, b := float64(x), float64(g[k])
		m.rg, m.rr, m.gg = m.rg+a*b, m.rr+a*a, m.gg+b*b
		if b != 0 {
			m.signs++
			if a*b > 0 || a > 0 == (b > 0) && a != 0 { // the product may underflow
				m.agree++
			}
		}
	}
	return m
}

func (m *match) add(o match) {
	m.rg, m.rr, m.gg = m.rg+o.rg, m.rr+o.rr, m.gg+o.gg
	m.agree, m.signs = m.agree+o.agree, m.signs+o.signs
}

func (m match) cosine() float64    { return m.rg / math.Sqrt(m.rr*m.gg) }
func (m match) ratio() float64     { return math.Sqrt(m.rr / m.gg) }
func (m match) agreement() float64 { return m.agree / m.signs }

// descent is how much the loss falls per length of a small step against r.
func (m match) descent() float64 { return m.rg / math.Sqrt(m.rr) }

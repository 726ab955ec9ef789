package deq

import (
	"fmt"
	"math"
	"slices"

	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// Kinked reports whether the cell has kinks (models.Kink) that depend on the state: where it is on one, it has
// derivatives for each direction (see Sides), but no Jacobian; JVP, VJP and what is trained by them then take the
// convention of the operation, for relu the slope 1.
func (l *Layer[T]) Kinked() bool {
	u, err := l.shards[0].program(cell)
	return err == nil && len(u.expr.kinks) > 0
}

// Sides are the sides of the cell's kinks that states are on: where a state is on a kink itself, that
// which a direction of it leads to. On them the cell is smooth.
type Sides[T Float] struct {
	// On is how many of the entries that have kinks are on one, by row, and Open how many of them no direction
	// has led from.
	On, Open []int

	e     *Equilibrium[T]
	sides [][]T    // by kink [rows, columns]: 1, 0, or −1 where open
	on    [][]bool // likewise
}

// Sides finds the sides for the states of e and directions v, each [rows, Units], the first of which that leads
// from a kink decides. A state is on a kink where that is less than near·max(‖z‖_∞, its size) from 0, in the maximum over
// the entries.
//
// With one direction J v of these sides is the one-sided derivative lim (f(z + hv) − f(z))/h, h > 0; with more it is the
// lexicographic derivative of Yu. Nesterov, Math. Program. 104 (2005) 669–700, doi:10.1007/s10107-005-0633-0.
func (e *Equilibrium[T]) Sides(near float64, directions ...[]T) (*Sides[T], error) {
	s, err := e.sides(near)
	if err != nil || len(directions) == 0 {
		return s, err
	}
	return s.Towards(directions...)
}

// sides are those of no direction.
func (e *Equilibrium[T]) sides(near float64) (*Sides[T], error) {
	if err := e.layer.fresh(e.made); err != nil {
		return nil, err
	}
	s := &Sides[T]{e: e, On: make([]int, e.Rows), Open: make([]int, e.Rows)}
	u, err := e.layer.shards[0].program(kinks)
	if err != nil {
		return nil, err
	}
	var widths []int
	for _, k := range u.expr.kinks {
		widths = append(widths, k.At.Shape()[1])
		s.sides = append(s.sides, make([]T, e.Rows*k.At.Shape()[1]))
	}
	if len(widths) == 0 {
		return s, nil
	}
	// A kink may depend on the sides of others: each pass settles one more of a chain.
	var at [][]T
	for range widths {
		if at, err = s.evaluate(kinks, e.Z, 0); err != nil {
			return nil, err
		}
		for k, a := range at {
			for b := range e.Rows {
				own, sides := a[b*widths[k]:(b+1)*widths[k]], s.sides[k][b*widths[k]:(b+1)*widths[k]]
				size := max(largest(own), largest(e.Z[b*e.layer.Units:(b+1)*e.layer.Units]))
				for i, v := range own {
					switch {
					case math.Abs(float64(v)) <= near*size:
						sides[i] = -1
					case v > 0:
						sides[i] = 1
					default:
						sides[i] = 0
					}
				}
			}
		}
	}
	for k, w := range widths {
		on := make([]bool, len(s.sides[k]))
		for i, v := range s.sides[k] {
			if on[i] = v < 0; on[i] {
				s.On[i/w]++
			}
		}
		s.on = append(s.on, on)
	}
	copy(s.Open, s.On)
	return s, nil
}

// Towards returns the sides that directions [rows, Units] lead to from those that are open, see Equilibrium.Sides.
func (s *Sides[T]) Towards(directions ...[]T) (*Sides[T], error) {
	for _, v := range directions {
		if err := s.e.checkState("direction", v); err != nil {
			return nil, err
		}
	}
	s = &Sides[T]{e: s.e, On: s.On, Open: slices.Clone(s.Open), on: s.on, sides: slices.Clone(s.sides)}
	for k, v := range s.sides {
		s.sides[k] = slices.Clone(v)
	}
	for _, v := range directions {
		for k := range s.sides { // each after those that it depends on
			if sum(s.Open) == 0 {
				return s, nil
			}
			width := len(s.sides[k]) / s.e.Rows
			out, err := s.evaluate(sidedTangent, v, 1)
			if err != nil {
				return nil, err
			}
			for i, slope := range out[k] {
				if s.sides[k][i] >= 0 || slope == 0 {
					continue
				}
				s.sides[k][i] = 0
				if slope > 0 {
					s.sides[k][i] = 1
				}
				s.Open[i/width]--
			}
		}
	}
	return s, nil
}

func largest[T Float](v []T) (m float64) {
	for _, x := range v {
		m = max(m, math.Abs(float64(x)))
	}
	return m
}

func sum(v []int) (n int) {
	for _, x := range v {
		n += x
	}
	return n
}

// JVP writes J v on the sides to out, for v [rows, Units].
func (s *Sides[T]) JVP(v, out []T) error {
	if err := s.e.checkStates("v", v, "out", out); err != nil {
		return err
	}
	found, err := s.evaluate(sidedTangent, v, 0)
	if err != nil {
		return err
	}
	if clear(out); len(found) > 0 && found[0] != nil {
		copy(out, found[0])
	}
	return nil
}

// Kinks returns how far the states are from every kink, in their order, positive on the side 1 [rows, kinks].
func (s *Sides[T]) Kinks() ([]T, error) { return s.byRow(kinks, s.e.Z, 0) }

// Slopes returns the derivative of Kinks along v [rows, Units], on the sides.
func (s *Sides[T]) Slopes(v []T) ([]T, error) {
	if err := s.e.checkState("v", v); err != nil {
		return nil, err
	}
	return s.byRow(sidedTangent, v, 1)
}

// Taken returns the sides of a row by kink: 1, 0, or −1 where open.
func (s *Sides[T]) Taken(row int) (sides []T) {
	for _, v := range s.sides {
		width := len(v) / s.e.Rows
		sides = append(sides, v[row*width:(row+1)*width]...)
	}
	return sides
}

// byRow puts what a function gives for the kinks one beside the other, 0 for what is nil.
func (s *Sides[T]) byRow(f function, in []T, from int) (out []T, err error) {
	if len(s.sides) == 0 {
		return nil, nil
	}
	found, err := s.evaluate(f, in, from)
	if err != nil {
		return nil, err
	}
	for b := range s.e.Rows {
		for k, v := range s.sides {
			width := len(v) / s.e.Rows
			row := make([]T, width)
			if found[k] != nil {
				copy(row, found[k][b*width:(b+1)*width])
			}
			out = append(out, row...)
		}
	}
	return out, nil
}

// Repeat returns the sides of one row for rows copies of it.
func (s *Sides[T]) Repeat(row, rows int) (*Sides[T], error) {
	same, err := s.e.Repeat(row, rows)
	if err != nil {
		return nil, err
	}
	out := &Sides[T]{e: same}
	for _, v := range s.sides {
		width := len(v) / s.e.Rows
		var all []T
		for range rows {
			all = append(all, v[row*width:(row+1)*width]...)
		}
		out.sides = append(out.sides, all)
	}
	for _, on := range s.on {
		width := len(on) / s.e.Rows
		out.on = append(out.on, slices.Repeat(on[row*width:(row+1)*width], rows))
	}
	for range rows {
		out.On, out.Open = append(out.On, s.On[row]), append(out.Open, s.Open[row])
	}
	return out, nil
}

// Piece returns the sides of one row for rows copies of it, with those of the kinks that it is on, in their order, given by
// bits: one of the 2^On smooth pieces that meet there. Not every one need be reached by a direction.
func (s *Sides[T]) Piece(row, rows int, bits uint64) (*Sides[T], error) {
	out, err := s.Repeat(row, rows)
	if err != nil {
		return nil, err
	}
	next := 0
	for k, on := range s.on {
		width := len(on) / s.e.Rows
		for i, kink := range on[row*width : (row+1)*width] {
			if !kink {
				continue
			}
			for b := range rows {
				out.sides[k][b*width+i] = T(bits >> next & 1)
			}
			next++
		}
	}
	return out, nil
}

// evaluate returns the outputs of a function of the sides from the given one on, nil for what is 0.
func (s *Sides[T]) evaluate(f function, in []T, from int) ([][]T, error) {
	l := s.e.layer
	if err := l.take(s.e.made); err != nil {
		return nil, err
	}
	defer l.done()
	var out [][]T
	here := *s.e
	here.id = l.points.Add(1) // as the sides are others
	for first := range l.shards {
		shard := l.shards[first]
		if shard.start >= s.e.Rows {
			break
		}
		n := min(shard.capacity, s.e.Rows-shard.start)
		u, err := shard.program(f)
		if err != nil {
			return nil, err
		}
		for k, kink := range u.expr.kinks {
			width := kink.Side.Shape()[1]
			given := make([]T, n*width)
			for i, v := range shard.part(s.sides[k], n, width) {
				given[i] = max(v, 0)
			}
			if err := u.program.Bind(kink.Side, given); err != nil {
				return nil, err
			}
		}
		if u, err = shard.apply(f, here.at(shard, n), shard.all(n), s.e.states(shard, n, in)); err != nil {
			return nil, err
		}
		if out == nil {
			out = make([][]T, len(u.expr.places)-from)
		}
		for i, place := range u.expr.places[from:] {
			if place >= 0 {
				got := u.program.Out(place)
				out[i] = append(out[i], got[:n*u.expr.outs[place].Shape()[1]]...)
			}
		}
	}
	return out, nil
}

// sidedTangent makes the expressions ∂out/∂z u and ∂k/∂z u of every kink k.
func (e *expression) sidedTangent(s *models.Scope, out *gorgonia.Node) error {
	e.u = s.Variable("u", e.z.Shape()[0], e.z.Shape()[1])
	if err := s.Err(); err != nil {
		return err
	}
	of := gorgonia.Nodes{out}
	for _, k := range e.kinks {
		of = append(of, k.At)
	}
	products, err := vjp.JVP(of, gorgonia.Nodes{e.z}, gorgonia.Nodes{e.u}, "dummy")
	if err != nil {
		return err
	}
	for _, p := range products {
		if p == nil {
			e.places = append(e.places, -1)
			continue
		}
		e.places = append(e.places, len(e.outs))
		e.outs, e.param = append(e.outs, p), append(e.param, ofState)
	}
	if len(e.outs) == 0 {
		return fmt.Errorf("the cell does not depend on its state")
	}
	return nil
}

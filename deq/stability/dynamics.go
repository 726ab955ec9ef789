package stability

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
)

// ErrUnbounded is wrapped by the error about a trajectory that leaves all bounds.
var ErrUnbounded = errors.New("a state is not finite: it has no attractor")

// step is that of the rate dynamics dz/dt = −z + f(z) by Euler's method.
const step = 0.1

// run moves the states z [rows, units] in place by the dynamics, for so many steps of the map, or so many
// units of time, as long as look says so, which sees them before each step and at the end. Rows that leave all
// bounds are gone: they are 0 from then on.
func run[T deq.Float](ctx context.Context, l *deq.Layer[T], x, z []T, dynamics string, steps int, look func(step int, gone []bool) bool) error {
	parts := partsOf(dynamics)
	return walk(ctx, l, x, z, T(1/float64(parts)), steps*parts, func(t int, gone []bool) bool { return t%parts != 0 || look(t/parts, gone) })
}

// partsOf is how many steps of Euler's method make a step of the map or a unit of time.
func partsOf(dynamics string) int {
	if dynamics == "rate" {
		return 1 / step
	}
	return 1
}

// walk is run by steps z ← z + fraction·(f(z) − z).
func walk[T deq.Float](ctx context.Context, l *deq.Layer[T], x, z []T, fraction T, steps int, look func(step int, gone []bool) bool) error {
	rows := len(z) / l.Units
	xs, next, gone := slices.Repeat(x, rows), make([]T, len(z)), make([]bool, rows)
	for t := 0; ; t++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stability: dynamics: %w", err)
		}
		if !look(t, gone) || t == steps {
			return nil
		}
		here, err := l.At(xs, z)
		if err != nil {
			return err
		}
		if err := here.Next(next); err != nil {
			return err
		}
		kernels.Lerp(z, z, next, fraction)
		for b := range gone {
			if row := z[b*l.Units : (b+1)*l.Units]; gone[b] || !kernels.AllFinite(row) {
				gone[b] = true
				clear(row)
			}
		}
	}
}

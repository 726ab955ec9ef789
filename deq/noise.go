package deq

import (
	"fmt"
	"math/rand/v2"
)

// drawNoise draws the noise of a model's input, [rows, width] for samples from first on, at step t.
func drawNoise[T Float](name string, sd float64, dst []T, width, t, first int, stream func(name string, t, sample int) *rand.Rand) {
	for b := range len(dst) / width {
		r := stream(name, t, first+b)
		for k := range width {
			dst[b*width+k] = T(sd * r.NormFloat64())
		}
	}
}

// At takes the states z [rows, Units] for those that step t begins from, z_t or others, as Layer.At does,
// with the input and the noise of that step: f and its derivatives there are those of the step.
func (tr *Trajectory[T]) At(t int, z []T) (*Equilibrium[T], error) {
	if t < 0 || t >= tr.Steps {
		return nil, fmt.Errorf("deq: step %d of a trajectory of %d", t, tr.Steps)
	}
	if err := tr.layer.fresh(tr.made); err != nil {
		return nil, err
	}
	e, err := tr.layer.At(tr.Input(t), z)
	if err != nil {
		return nil, err
	}
	if own := tr.Z[t]; own != nil && &own[0] == &z[0] {
		e.fz = tr.Z[t+1] // if it is kept
	}
	if tr.noise == nil {
		return e, nil
	}
	u, err := tr.layer.shards[0].program(cell)
	if err != nil {
		return nil, err
	}
	for _, n := range u.expr.noises {
		width := n.Node.Shape()[1]
		noise := make([]T, e.Rows*width)
		drawNoise(n.Name, n.SD, noise, width, t, 0, tr.noise)
		e.noise = append(e.noise, noise)
	}
	return e, nil
}

// bindNoise gives the program the noise of the samples rows of a point, or none.
func (u *unit[T]) bindNoise(noise [][]T, rows []int) error {
	if noise == nil {
		if len(u.noise) == 0 {
			return nil
		}
		u.noise = nil
		return u.quiet()
	}
	for i, n := range u.expr.noises {
		if len(u.noise) <= i {
			u.noise = append(u.noise, nil)
		}
		u.noise[i] = gather(u.noise[i], noise[i], rows, n.Node.Shape()[1])
		if err := u.program.Bind(n.Node, u.noise[i]); err != nil {
			return err
		}
	}
	return nil
}

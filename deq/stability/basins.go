package stability

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
)

// Basins are the options of Settle, Along, AtRandom and Graph, which run the dynamics to where they end.
type Basins struct {
	Dynamics string  `default:"map" doc:"the map z ← f(z), or the rate dynamics dz/dt = −z + f(z) by Euler's method with steps of 0.1" choices:"map,rate"`
	Steps    int     `default:"1000" doc:"steps of the map, or units of time, until a state that has not settled counts as settling nowhere"`
	Near     float64 `default:"0.01" doc:"root mean square difference of units from a stable point within which a state has settled there"`
}

// Nowhere is the end of a trajectory that settles at none of the stable points.
const Nowhere = -1

// Settle runs states [any number, units] under the input x (nil: 0), and returns for each the index of the
// stable one among the points that it comes to, or Nowhere.
func Settle[T deq.Float](ctx context.Context, l *deq.Layer[T], x, states []T, points []FixedPoint, o Basins) ([]int, error) {
	o = options.WithDefaults(o)
	if o.Dynamics != "map" && o.Dynamics != "rate" || o.Steps < 1 || !(o.Near > 0) {
		return nil, fmt.Errorf("stability: basins: expected map or rate dynamics, at least 1 step and a positive distance, found %q, %d and %g", o.Dynamics, o.Steps, o.Near)
	}
	if x == nil {
		x = make([]T, l.Inputs)
	}
	s := &search[T]{layer: l, x: x}
	n := l.Units
	var ends []int
	err := s.batches(append([]T(nil), states...), func(z []T) error {
		there := make([]int, len(z)/n)
		err := run(ctx, l, x, z, o.Dynamics, o.Steps, func(step int, gone []bool) bool {
			if step%10 != 0 && step != o.Steps {
				return true
			}
			wandering := false
			for b := range there {
				if there[b] = Nowhere; !gone[b] {
					there[b] = nearestStable(widen(z[b*n:(b+1)*n]), points, o.Near)
					wandering = wandering || there[b] == Nowhere
				}
			}
			return wandering
		})
		ends = append(ends, there...)
		return err
	})
	return ends, err
}

func nearestStable(z []float64, points []FixedPoint, near float64) int {
	end := Nowhere
	for i, p := range points {
		if d := math.Sqrt(kernels.SquaredDistance(z, p.Z) / float64(len(z))); p.Status == Stable && d < near {
			end, near = i, d
		}
	}
	return end
}

// Along settles the states a·direction, one for each amplitude a.
func Along[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, direction, amplitudes []float64, points []FixedPoint, o Basins) ([]int, error) {
	var states []T
	for _, a := range amplitudes {
		for _, d := range direction {
			states = append(states, T(a*d))
		}
	}
	return Settle(ctx, l, x, states, points, o)
}

// AtRandom settles count states drawn from N(0, scale²).
func AtRandom[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, count int, scale float64, seed uint64, points []FixedPoint, o Basins) ([]int, error) {
	r := rng.Stream(seed, "stability/basins")
	states := make([]T, count*l.Units)
	for i := range states {
		states[i] = T(scale * r.NormFloat64())
	}
	return Settle(ctx, l, x, states, points, o)
}

// Edge says that the dynamics lead from one fixed point to another.
type Edge struct {
	From int
	Mode int // which eigenvalue of From, in the order of its Values, the state was perturbed along
	Sign int // 1 or −1
	To   int // Nowhere where it settles at none of the stable points
}

// Graph perturbs each unstable fixed point along every unstable direction, forwards and backwards by size in the root
// mean square of the units, and returns where the dynamics lead from there. Of a complex pair both real
// directions of its plane are taken.
func Graph[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, points []FixedPoint, size float64, o Basins) ([]Edge, error) {
	var edges []Edge
	var states []T
	for i, p := range points {
		if p.Status != Saddle {
			continue
		}
		directions, err := unstable(ctx, l, x, p)
		if err != nil {
			return nil, err
		}
		for mode, d := range directions {
			for _, sign := range []int{1, -1} {
				edges = append(edges, Edge{From: i, Mode: mode, Sign: sign})
				for k, v := range p.Z {
					states = append(states, T(v+float64(sign)*size*math.Sqrt(float64(len(d)))*d[k]))
				}
			}
		}
	}
	ends, err := Settle(ctx, l, x, states, points, o)
	for i, to := range ends {
		edges[i].To = to
	}
	return edges, err
}

// unstable returns unit vectors of the unstable directions of a point, by eigenvalue: of a pair the
// real and the imaginary part of its vector.
func unstable[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, p FixedPoint) ([][]float64, error) {
	if x == nil {
		x = make([]T, l.Inputs)
	}
	z := make([]T, len(p.Z))
	narrow(z, p.Z)
	here, err := l.At(x, z)
	if err != nil {
		return nil, err
	}
	modes, err := ModesOf(ctx, here, 0)
	if err != nil {
		return nil, err
	}
	directions := make([][]float64, 0, p.Unstable)
	for _, value := range p.Values[:p.Unstable] {
		right := modes.Right[modes.nearest(value)]
		d := make([]float64, len(right))
		for k, v := range right {
			if d[k] = real(v); imag(value) < 0 { // the second of a pair
				d[k] = imag(v)
			}
		}
		kernels.Scale(d, 1/norm(d), d)
		directions = append(directions, d)
	}
	return directions, nil
}

package stability

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

// Basins are the options of Settle, Along, AtRandom and Graph, which run the dynamics to where they end.
type Basins struct {
	Dynamics string  `default:"map" doc:"the map z ← f(z), or the rate dynamics dz/dt = −z + f(z), by steps of a local error of 1e-5" choices:"map,rate"`
	Steps    int     `default:"1000" doc:"steps of the map, or units of time, until a state that has not settled counts as settling nowhere"`
	Effort   float64 `default:"1" doc:"factor of the evaluations of f that the states are allowed with the rate dynamics, which are 10,000 of each, and for a unit of time 20 to 200, by the number of units and of states"`
	Near     float64 `default:"0.01" doc:"root mean square difference of units from a stable point within which a state has settled there"`
}

// Nowhere is the end of a trajectory that settles at none of the stable points.
const Nowhere = -1

// Settle runs states [any number, units] under the input x (nil: 0), and returns for each the index of the
// one among the points that it comes to, or Nowhere. That is a stable point or one that is marginal, or a continuum, if it has come
// to within Near and rests. A state that still creeps straight to a stable or a marginal point when the steps are over, as the
// linear part there is too weak to bring it nearer, counts there if it is within ten times Near. Where states were stopped early
// the error is a *StiffError, and the result what there is.
func Settle[T deq.Float](ctx context.Context, l *deq.Layer[T], x, states []T, points []FixedPoint, o Basins) ([]int, error) {
	ends, err := Run(ctx, l, x, states, points, o)
	if err != nil {
		return nil, err
	}
	return ends.At, ends.err()
}

// Ends are where states have come to.
type Ends[T deq.Float] struct {
	At   []int  // as Settle has it
	Last []T    // the states at the end, 0 of those that left all bounds [any number, units]
	Gone []bool // which did
	// Stopped are the states that have settled nowhere when the evaluations of f which they are allowed were spent, of the rate
	// dynamics: where they go is not known.
	Stopped []bool
	Stiff   *StiffError // says so; nil without any

	left int // states, the last ones, that did not begin
}

// err is Stiff.
func (e *Ends[T]) err() error {
	if e.Stiff == nil {
		return nil
	}
	return e.Stiff
}

// Run is Settle, and returns the states at the end too, and which were stopped in place of an error.
func Run[T deq.Float](ctx context.Context, l *deq.Layer[T], x, states []T, points []FixedPoint, o Basins) (*Ends[T], error) {
	return settle(ctx, l, x, states, points, o, math.Inf(1))
}

// settle is Run, where no further states begin once all have taken so many evaluations of f of the rate dynamics together.
func settle[T deq.Float](ctx context.Context, l *deq.Layer[T], x, states []T, points []FixedPoint, o Basins, most float64) (*Ends[T], error) {
	o = options.WithDefaults(o)
	if o.Dynamics != "map" && o.Dynamics != "rate" || o.Steps < 1 || !(o.Near > 0) || !(o.Effort > 0) {
		return nil, fmt.Errorf("stability: basins: expected map or rate dynamics, at least 1 step and a positive distance and effort, found %q, %d, %g and %g", o.Dynamics, o.Steps, o.Near, o.Effort)
	}
	if x == nil {
		x = make([]T, l.Inputs)
	}
	const every = 10 // steps after which the states are looked at
	s := &search[T]{layer: l, x: x}
	n := l.Units
	ends := &Ends[T]{Last: append([]T(nil), states...)}
	taken := 0.0
	err := s.batches(ends.Last, func(z []T) error {
		if taken >= most*o.Effort {
			for range len(z) / n {
				ends.At, ends.Gone, ends.Stopped = append(ends.At, Nowhere), append(ends.Gone, false), append(ends.Stopped, true)
				ends.left++
			}
			return nil
		}
		lost := make([]bool, len(z)/n)
		there, before := slices.Repeat([]int{Nowhere}, len(z)/n), append([]T(nil), z...)
		var failed error
		within := newAllowance(len(z)/n, n, len(states)/n, float64(o.Steps), o.Effort)
		err := runWithin(ctx, l, x, z, o.Dynamics, 1, o.Steps, within, func(step int, gone []bool) bool {
			if step%every != 0 && step != o.Steps {
				return true
			}
			wandering := false
			for b := range there {
				if within.spent[b] {
					if there[b] == Nowhere && !gone[b] {
						there[b] = nearestStable(widen(z[b*n:(b+1)*n]), points, o.Near)
					}
					continue
				}
				if there[b] = Nowhere; !gone[b] {
					now, was := widen(z[b*n:(b+1)*n]), widen(before[b*n:(b+1)*n])
					there[b] = nearestStable(now, points, o.Near)
					if there[b] == Nowhere && step > 0 {
						if there[b], failed = s.neutral(ctx, now, was, points, o.Near, step == o.Steps); failed != nil {
							return false
						}
					}
					wandering = wandering || there[b] == Nowhere
				}
			}
			copy(before, z)
			copy(lost, gone)
			return wandering
		})
		for _, evals := range within.evals {
			taken += evals
		}
		first := len(ends.At)
		ends.At, ends.Gone = append(ends.At, there...), append(ends.Gone, lost...)
		for b, spent := range within.spent {
			spent = spent && there[b] == Nowhere && !lost[b]
			if ends.Stopped = append(ends.Stopped, spent); spent {
				ends.stop(first+b, within.time[b], within.most, float64(o.Steps))
			}
		}
		return cmp.Or(failed, err)
	})
	if err == nil && ends.left > 0 {
		ends.Stiff = &StiffError{
			What:   fmt.Sprintf("%d of %d states were not let run", ends.left, len(ends.At)),
			Needed: taken * float64(len(ends.At)) / float64(len(ends.At)-ends.left), Allowed: most * o.Effort,
		}
		err = rates(ctx, l, x, states[:n], ends.Stiff)
	} else if err == nil && ends.Stiff != nil {
		err = ends.tell(ctx, l, x)
	}
	return ends, err
}

// stop notes that a state was stopped at a time of all.
func (e *Ends[T]) stop(i int, time, evals, all float64) {
	if e.Stiff == nil {
		e.Stiff = &StiffError{Allowed: evals, time: time, all: all, state: i}
	}
	if s := e.Stiff; time < s.time {
		s.time, s.state = time, i
	}
}

// tell says what has come of those that were stopped, and why.
func (e *Ends[T]) tell(ctx context.Context, l *deq.Layer[T], x []T) error {
	s := e.Stiff
	count := 0
	for _, stopped := range e.Stopped {
		if stopped {
			count++
		}
	}
	s.Needed = s.Allowed * s.all / max(s.time, 1e-12*s.all)
	s.What = fmt.Sprintf("%d of %d states were stopped before they settled, at %.3g of %g units of time at the earliest", count, len(e.At), s.time, s.all)
	return rates(ctx, l, x, e.Last[s.state*l.Units:(s.state+1)*l.Units], s)
}

// distanceTo is the root mean square difference of the units.
func distanceTo(z []float64, p FixedPoint) float64 {
	return math.Sqrt(kernels.SquaredDistance(z, p.Z) / float64(len(z)))
}

func nearestStable(z []float64, points []FixedPoint, near float64) int {
	end := Nowhere
	for i, p := range points {
		if d := distanceTo(z, p); p.Status == Stable && d < near {
			end, near = i, d
		}
	}
	return end
}

// neutral is the marginal point or the continuum at which a state rests, that has come from another shortly before, or at the end of
// its steps the point to which it creeps.
func (s *search[T]) neutral(ctx context.Context, z, before []float64, points []FixedPoint, near float64, over bool) (int, error) {
	const (
		still    = 0.01 // of near, by which a state that rests moves
		straight = 0.9  // cosine to the way to a point
		far      = 10   // times near
	)
	root := math.Sqrt(float64(len(z)))
	moved := math.Sqrt(kernels.SquaredDistance(z, before)) / root
	if !(moved < near) {
		return Nowhere, nil
	}
	end, best := Nowhere, math.Inf(1)
	for i, p := range points {
		switch d := distanceTo(z, p); {
		case p.Status == Marginal && d < min(near, best) && moved < still*near && d <= distanceTo(before, p):
			end, best = i, d
		case p.rays != nil && d < min(1e-6*near, best) && moved <= d && d <= distanceTo(before, p):
			end, best = i, d // which is left to some sides only
		case p.Status == Extended && moved < still*near:
			left, err := s.approach(ctx, p.Continuum, z, 1e-3*near*root)
			if err != nil {
				return Nowhere, err
			}
			if left /= root; left < min(near, best) {
				end, best = i, left
			}
		case over && (p.Status == Marginal || p.Status == Stable) && d < far*near && d < best:
			way, step := make([]float64, len(z)), make([]float64, len(z))
			kernels.Sub(way, p.Z, z)
			kernels.Sub(step, z, before)
			if kernels.Dot(way, step) > straight*norm(way)*norm(step) {
				end, best = i, d
			}
		}
	}
	return end, nil
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
	return Settle(ctx, l, x, RandomStates(l, count, scale, seed), points, o)
}

// RandomStates are count states drawn from N(0, scale²), [count, units].
func RandomStates[T deq.Float](l *deq.Layer[T], count int, scale float64, seed uint64) []T {
	r := rng.Stream(seed, "stability/basins")
	states := make([]T, count*l.Units)
	for i := range states {
		states[i] = T(scale * r.NormFloat64())
	}
	return states
}

// Edge says that the dynamics lead from one fixed point to another.
type Edge struct {
	From int
	Mode int // which eigenvalue of From, in the order of its Values, the state was perturbed along; at kinks which direction
	Sign int // 1 or −1; at kinks 1
	To   int // Nowhere where it settles at none of the points
	// Last is the state at the end, nil of one that left all bounds or did not begin.
	Last []float64
	// Stopped says that To is not known, as the evaluations of f that are allowed were spent.
	Stopped bool
}

// graphWork is how many multiplications all states of Graph are allowed together with the rate dynamics: some twenty seconds.
const graphWork = 2 * allowedWork

// Graph perturbs each unstable fixed point along every unstable direction, forwards and backwards by size in the root
// mean square of the units, and returns where the dynamics lead from there. Of a complex pair both real
// directions of its plane are taken. With the rate dynamics of a network with very many such directions only those of the first points are followed.
// Where that is so, or states were stopped early, the error is a *StiffError, as that of Settle.
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
		sides := []int{1, -1}
		if p.rays != nil {
			sides = sides[:1]
		}
		for mode, d := range directions {
			for _, sign := range sides {
				edges = append(edges, Edge{From: i, Mode: mode, Sign: sign})
				for k, v := range p.Z {
					states = append(states, T(v+float64(sign)*size*math.Sqrt(float64(len(d)))*d[k]))
				}
			}
		}
	}
	n := float64(l.Units)
	ends, err := settle(ctx, l, x, states, points, o, graphWork/(n*n+evaluationWork))
	if err != nil {
		return nil, err
	}
	for i, to := range ends.At {
		edges[i].To, edges[i].Stopped = to, ends.Stopped[i]
		if !ends.Gone[i] && i < len(edges)-ends.left {
			edges[i].Last = widen(ends.Last[i*l.Units : (i+1)*l.Units])
		}
	}
	return edges, ends.err()
}

// unstable returns unit vectors of the unstable directions of a point, by eigenvalue: of a pair the
// real and the imaginary part of its vector.
func unstable[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, p FixedPoint) ([][]float64, error) {
	if p.rays != nil {
		return p.rays, nil
	}
	if x == nil {
		x = make([]T, l.Inputs)
	}
	z := make([]T, len(p.Z))
	narrow(z, p.Z)
	here, err := l.At(x, z)
	if err != nil {
		return nil, err
	}
	j, err := dense(ctx, here, 0)
	if err != nil {
		return nil, err
	}
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenRight) {
		return nil, fmt.Errorf("stability: unstable directions: the eigenvalues of a %d×%d matrix did not converge", len(z), len(z))
	}
	modes, right := &Modes{Values: eigen.Values(nil)}, new(mat.CDense)
	eigen.VectorsTo(right)
	directions := make([][]float64, 0, p.Unstable)
	for _, value := range p.Values[:p.Unstable] {
		k := modes.nearest(value)
		d := make([]float64, len(z))
		for i := range d {
			v := right.At(i, k)
			if d[i] = real(v); imag(value) < 0 { // the second of a pair
				d[i] = imag(v)
			}
		}
		kernels.Scale(d, 1/norm(d), d)
		directions = append(directions, d)
	}
	return directions, nil
}

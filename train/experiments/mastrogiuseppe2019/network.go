package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/models/feedback"
	"attractor/models/meanfield"
	"attractor/solvers"
)

// network is a finite network with one loop and one input of 1.
type network[T kernels.Float] struct {
	*feedback.Network[T]
	gain           float64
	xi, etaM, etaI []float64
}

// draw makes a network with orthogonal vectors.
func draw[T kernels.Float](units int, gain float64, v meanfield.Vectors, seed uint64) (*network[T], error) {
	m := models.Feedback{N: units, Gain: gain, SigmaM: v.SigmaM, SigmaI: v.SigmaI, Rho: v.Rho, Orthogonal: true}
	p := deq.NewParams[T](m, 1, 1, seed)
	net, err := feedback.New(units, p.Data("W"), p.Data("M"), p.Data("U"))
	if err != nil {
		return nil, fmt.Errorf("mastrogiuseppe2019: %w", err)
	}
	n := &network[T]{Network: net, gain: gain}
	xi, etaM, etaI := m.Vectors(rng.Stream(seed, "init/feedback"), 1)
	n.xi, n.etaM, n.etaI = xi[0], etaM[0], etaI[0]
	return n, nil
}

// along returns the readout n of a direction [units].
func (n *network[T]) along(d meanfield.Direction) []T {
	out := make([]T, n.Units)
	for i := range out {
		out[i] = T((d.Xi*n.xi[i] + d.EtaM*n.etaM[i] + d.EtaI*n.etaI[i]) / float64(n.Units))
	}
	return out
}

// ones are the inputs of so many states.
func ones[T kernels.Float](rows int) []T {
	v := make([]T, rows)
	for i := range v {
		v[i] = 1
	}
	return v
}

// towards returns the states mz + I [rows, units].
func (n *network[T]) towards(z []float64) []T {
	x := make([]T, len(z)*n.Units)
	for i, v := range z {
		for k := range n.Units {
			x[i*n.Units+k] = T(v)*n.M[k] + n.U[k]
		}
	}
	return x
}

// normal is a state from N(0, 1) [units].
func (n *network[T]) normal(name string, seed uint64) []T {
	r, x := rng.Stream(seed, "mastrogiuseppe2019/"+name), make([]T, n.Units)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return x
}

// rates are the stationary states of the open loop.
type rates[T kernels.Float] struct {
	z     []float64
	x     []T    // [rows, units]
	rates []T    // φ(x)
	rest  []bool // whether a stationary state was found
}

func (r *rates[T]) row(i int) []T { n := len(r.rates) / len(r.z); return r.rates[i*n : (i+1)*n] }

// settle finds the stationary states with the readout held at each z, from the states x [rows, units] if they
// are not nil.
func (n *network[T]) settle(ctx context.Context, z []float64, x []T) (*rates[T], error) {
	rows := len(z)
	r := &rates[T]{z: z, x: slices.Clone(x), rates: make([]T, rows*n.Units), rest: make([]bool, rows)}
	if x == nil {
		r.x = n.towards(z)
	}
	s, err := solvers.New(solvers.Broyden[T]{Memory: 60}, rows, n.Units, solvers.Settings{RTol: tolerance[T](), MaxEvals: 1000})
	if err != nil {
		return nil, err
	}
	report, err := s.Solve(ctx, solvers.Problem[T]{Batch: rows, Dim: n.Units, F: func(active []int, x, fx []T) error {
		at := make([]T, len(active))
		for i, row := range active {
			at[i] = T(z[row])
		}
		phi := r.rates[:len(x)]
		kernels.Tanh(phi, x)
		n.Drive(phi, at, ones[T](len(active)), fx)
		return nil
	}}, r.x)
	if err != nil {
		return nil, err
	}
	for i, status := range report.Status {
		r.rest[i] = status == solvers.Converged
	}
	kernels.Tanh(r.rates, r.x)
	return r, nil
}

func tolerance[T kernels.Float]() float64 {
	if _, single := any(T(0)).(float32); single {
		return 1e-5
	}
	return 1e-8
}

// scanned are the stationary states of a network over the values of z.
func (n *network[T]) scan(ctx context.Context, limit, step float64) (*rates[T], error) {
	var z []float64
	for k := -int(math.Round(limit / step)); k <= int(math.Round(limit/step)); k++ {
		z = append(z, float64(k)*step)
	}
	return n.settle(ctx, z, nil)
}

// fixedPoint is a stationary state of the closed loop.
type fixedPoint struct {
	readout  int // which
	z        float64
	outliers []complex128 // of the spectrum, those with the largest real parts first
	radius   float64      // of the bulk, g√⟨φ′²⟩ over the units
}

// outside returns the outlier of the largest modulus, NaN where there is none or it is not real.
func (f fixedPoint) outside() float64 {
	largest := complex(0, 0)
	for _, l := range f.outliers {
		if cmplx.Abs(l) > cmplx.Abs(largest) {
			largest = l
		}
	}
	if largest == 0 || math.Abs(imag(largest)) > 1e-6 {
		return math.NaN()
	}
	return real(largest)
}

// fixedPoints finds the stationary states of the closed loop for several readouts, stable or not, by ascending z:
// where nᵀφ(x(z)) − z changes its sign over a scan, refined by the rule of false position with
// stationary states of the open loop in between. One at which the open loop does not come to rest is
// left out.
func (n *network[T]) fixedPoints(ctx context.Context, scan *rates[T], readouts [][]T) ([]fixedPoint, error) {
	type bracket struct {
		readout int
		near    int // row of the scan
		a, b    float64
		fa, fb  float64
	}
	gap := func(readout []T, r *rates[T], row int) float64 { return kernels.Dot(readout, r.row(row)) - r.z[row] }
	var open []bracket
	for k, readout := range readouts {
		last := math.NaN()
		for row := range scan.z {
			f := math.NaN()
			if scan.rest[row] {
				f = gap(readout, scan, row)
			}
			if last*f <= 0 && (last < 0) != (f < 0) { // 0 counts as positive, and NaN as neither
				open = append(open, bracket{readout: k, a: scan.z[row-1], b: scan.z[row], fa: last, fb: f, near: row})
			}
			last = f
		}
	}
	if len(open) == 0 {
		return nil, nil
	}
	x, z := make([]T, len(open)*n.Units), make([]float64, len(open))
	for i, b := range open {
		copy(x[i*n.Units:], scan.x[b.near*n.Units:(b.near+1)*n.Units])
	}
	var found *rates[T]
	for range 8 {
		worst := 0.0
		for i, b := range open {
			if z[i] = b.b; math.Abs(b.fb) > tolerance[T]() {
				z[i] = (b.a*b.fb - b.b*b.fa) / (b.fb - b.fa)
			}
		}
		var err error
		if found, err = n.settle(ctx, slices.Clone(z), x); err != nil {
			return nil, err
		}
		for i := range open {
			b := &open[i]
			f := gap(readouts[b.readout], found, i)
			worst = max(worst, math.Abs(f))
			if (f < 0) != (b.fb < 0) {
				b.a, b.fa = b.b, b.fb
			} else {
				b.fa /= 2
			}
			b.b, b.fb = z[i], f
		}
		copy(x, found.x)
		if worst < 1e3*tolerance[T]() {
			break
		}
	}
	var points []fixedPoint
	var at, own []T
	var radii []float64
	for i, b := range open {
		if !found.rest[i] {
			continue
		}
		sum := 0.0
		for _, r := range found.row(i) {
			d := 1 - float64(r)*float64(r)
			sum += d * d
		}
		radius := n.gain * math.Sqrt(sum/float64(n.Units))
		points, radii = append(points, fixedPoint{readout: b.readout, z: z[i], radius: radius}), append(radii, radius)
		at, own = append(at, found.row(i)...), append(own, readouts[b.readout]...)
	}
	outliers, err := n.Outliers(at, own, radii)
	if err != nil {
		return nil, err
	}
	for i := range points {
		points[i].outliers = outliers[i]
	}
	return points, nil
}

// ends simulates the closed loops of readouts, one for each of the states x [rows, units], for a time, and returns
// what they read out then: by Euler's method with dt = 0.2, which has the same stationary states.
func (n *network[T]) ends(ctx context.Context, x []T, readouts [][]T, time float64) ([]float64, error) {
	const dt, chunk = 0.2, 20
	r := n.Start(x, ones[T](len(readouts)), func(row int, rates, z []T) { z[0] = T(kernels.Dot(readouts[row], rates)) })
	for done := 0; float64(done)*dt < time; done += chunk {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.Euler(dt, chunk)
	}
	z := make([]float64, len(readouts))
	for i := range z {
		z[i] = float64(r.Z[i])
	}
	return z, nil
}

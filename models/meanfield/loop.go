package meanfield

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Open is the open loop of a network: its states with the readout held at the values of a scan,
// which are the same for every n. It may be used from many goroutines at once.
type Open struct {
	Network
	states []State
}

// The scan is even up to scanNear and geometric from there to scanFar: a solution that is
// still farther away, as beside a flex, is not found.
const (
	scanStep  = 0.05
	scanNear  = 12.0
	scanRatio = 1.05
	scanFar   = 1e6
)

// Open scans the network, on all cores. Where the states are chaotic that takes time: half a second of one core
// at g = 2.5, and ever more as g grows, 5 seconds at 4.
func (n Network) Open() (*Open, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	var right []float64
	for i := 1; float64(i)*scanStep <= scanNear; i++ {
		right = append(right, float64(i)*scanStep)
	}
	for z := scanNear * scanRatio; z < scanFar; z *= scanRatio {
		right = append(right, z)
	}
	var at []float64
	for _, z := range slices.Backward(right) {
		at = append(at, -z)
	}
	at = append(append(at, 0), right...)
	o := &Open{Network: n, states: make([]State, len(at))}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // a chaotic state takes a thousand times as long as another
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(at); i = int(next.Add(1)) - 1 {
				o.states[i] = n.Clamp(at[i])
			}
		})
	}
	wg.Wait()
	return o, nil
}

// Loop is a network with its readout, the loop closed.
type Loop struct {
	Readout
	open *Open
}

// Close closes the loop with a readout.
func (o *Open) Close(r Readout) Loop { return Loop{Readout: r, open: o} }

// CloseAt closes the loop with the multiple of a readout that has the solution z = target.
func (o *Open) CloseAt(r Readout, target float64) (Loop, error) {
	r, err := o.Normalized(r, target)
	return o.Close(r), err
}

// Transfer returns F(z), what is read out with the readout held at z, and its derivative.
func (l Loop) Transfer(z float64) (f, slope float64) { return l.transfer(l.open.Clamp(z)) }

func (l Loop) transfer(s State) (f, slope float64) { return l.Of(s), l.open.slope(l.Readout, s) }

// Solution is a stationary state of the closed loop.
type Solution struct {
	State
	Radius   float64       // of the bulk of the spectrum, g√⟨φ′²⟩
	Outliers [2]complex128 // that with the larger real part first
	Slope    float64       // F′(z); it is 1 where an outlier is
	Stable   bool          // Radius and all real parts are below 1
}

// FixedPoints returns the readouts z of all stationary states with |z| up to a million, ascending.
func (l Loop) FixedPoints() []float64 { return fixedPoints(l.open.states, l.transfer, l.Transfer) }

// Solutions returns the stationary states, by ascending z.
func (l Loop) Solutions() []Solution {
	found := make([]Solution, 0, 3)
	for _, z := range l.FixedPoints() {
		found = append(found, l.At(z))
	}
	return found
}

// At returns the state with the readout held at z, which is a solution where F(z) = z, with the
// stability of the closed loop there.
//
// The bulk of the spectrum of (gχ + mnᵀ)φ′ is a disc. Its outliers are the roots of
//
//	λ² − (a + B + C)λ + aB − D = 0
//
// with w = uz + v, B = g²⟨φ′² + φφ″⟩ and, without means, a = u⟨φ′⟩, C = w⟨φ‴⟩(σ_m²z + σ_mI), D = 0.
// With means a gains M_m(M_n⟨φ′⟩ + w⟨φ″⟩), w⟨φ‴⟩ gains M_n⟨φ″⟩, and D = g²M_m⟨φφ′⟩(M_n⟨φ″⟩ + w⟨φ‴⟩).
func (l Loop) At(z float64) Solution {
	n, s := l.open.Network, l.open.Clamp(z)
	_, half := n.drive(z)
	w, g2 := l.U*z+l.V, n.Gain*n.Gain
	a := l.U*s.d + n.MeanM*(l.Mean*s.d+w*s.second())
	b := g2 * s.curve()
	k := l.Mean*s.second() + w*s.third()
	out := Solution{State: s, Radius: n.radius(s.moments), Slope: n.slope(l.Readout, s)}
	out.Outliers = quadratic(a+b+k*half, a*b-k*g2*n.MeanM*s.td)
	out.Stable = out.Radius < 1 && real(out.Outliers[0]) < 1
	return out
}

// quadratic returns the roots of λ² − sum·λ + product, that with the larger real part first.
func quadratic(sum, product float64) [2]complex128 {
	if d := sum*sum/4 - product; d < 0 {
		im := math.Sqrt(-d)
		return [2]complex128{complex(sum/2, im), complex(sum/2, -im)}
	}
	far := sum/2 + math.Copysign(math.Sqrt(sum*sum/4-product), sum) // without cancellation
	near := 0.0
	if far != 0 {
		near = product/far + 0 // and no −0
	}
	return [2]complex128{complex(max(far, near), 0), complex(min(far, near), 0)}
}

// fixedPoints returns the z with F(z) = z between the states of a scan, ascending. at
// is F and F′ at such a state, transfer anywhere. Two roots between neighbours, or one beside a root that
// is one of them, are found by the extremum of F(z) − z that is between them.
func fixedPoints(scan []State, at func(State) (f, slope float64), transfer func(z float64) (f, slope float64)) []float64 {
	gap := func(z float64) float64 { f, _ := transfer(z); return f - z }
	bend := func(z float64) float64 { _, slope := transfer(z); return slope - 1 }
	var roots []float64
	between := func(a, ha, b, hb float64) {
		if ha*hb < 0 {
			roots = append(roots, crossing(gap, a, ha, b, hb))
		}
	}
	var z, h, d float64
	for i, s := range scan {
		f, slope := at(s)
		next, hn, dn := s.Z, f-s.Z, slope-1
		if i > 0 {
			falls := h*hn > 0 && h*d < 0 && h*dn > 0                          // |h|, and rises again
			beside := d*dn < 0 && (h == 0 && d*hn < 0 || hn == 0 && h*dn > 0) // a root at one end is one more
			if falls || beside {
				fold := crossing(bend, z, d, next, dn)
				hf := gap(fold)
				between(z, h, fold, hf)
				if hf == 0 {
					roots = append(roots, fold)
				}
				between(fold, hf, next, hn)
			} else {
				between(z, h, next, hn)
			}
		}
		if hn == 0 {
			roots = append(roots, next)
		}
		z, h, d = next, hn, dn
	}
	return roots
}

// crossing returns a root of f between a and b, where it has the values fa and fb of opposite sign,
// by the Illinois variant of the rule of false position.
func crossing(f func(float64) float64, a, fa, b, fb float64) float64 {
	for range 200 {
		c := (a*fb - b*fa) / (fb - fa)
		if !(c > min(a, b) && c < max(a, b)) {
			c = a + (b-a)/2
		}
		fc := f(c)
		if fc == 0 || math.Abs(b-a) <= 4e-16*max(math.Abs(a), math.Abs(b)) || c == a || c == b {
			return c
		}
		if (fc < 0) != (fb < 0) {
			a, fa = b, fb
		} else {
			fa /= 2
		}
		if math.Abs(c-b) <= 1e-15*max(math.Abs(c), 1e-3) {
			return c
		}
		b, fb = c, fc
	}
	return b
}

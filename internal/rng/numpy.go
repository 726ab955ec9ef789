package rng

import "math"

// NumPy is the generator of NumPy's RandomState, for experiments whose published seed is to
// be matched bit for bit: the Mersenne Twister MT19937 seeded by init_genrand, uniform numbers
// of 53 bits, and normal numbers by Marsaglia's polar method. It has no named streams and
// has to be drawn from in order; Stream is what everything else uses.
//
// M. Matsumoto and T. Nishimura, ACM Transactions on Modeling and Computer Simulation 8 (1998)
// 3–30, doi:10.1145/272991.272995; G. Marsaglia and T. A. Bray, SIAM Review 6 (1964) 260–264,
// doi:10.1137/1006063.
type NumPy struct {
	state  [mtSize]uint32
	next   int
	second float64 // the other normal number of a pair
	cached bool
}

const (
	mtSize   = 624
	mtMiddle = 397
)

// NewNumPy returns the generator that numpy.random.seed(seed) leaves.
func NewNumPy(seed uint32) *NumPy {
	r := &NumPy{next: mtSize}
	r.state[0] = seed
	for i := 1; i < mtSize; i++ {
		previous := r.state[i-1]
		r.state[i] = 1812433253*(previous^previous>>30) + uint32(i)
	}
	return r
}

// Uint32 returns the next 32 random bits.
func (r *NumPy) Uint32() uint32 {
	if r.next == mtSize {
		r.twist()
	}
	y := r.state[r.next]
	r.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Uint64 implements rand.Source: two draws, the first in the upper half.
func (r *NumPy) Uint64() uint64 {
	high := uint64(r.Uint32())
	return high<<32 | uint64(r.Uint32())
}

// twist makes the next 624 words.
func (r *NumPy) twist() {
	for i := range r.state {
		y := r.state[i]&0x80000000 | r.state[(i+1)%mtSize]&0x7fffffff
		word := r.state[(i+mtMiddle)%mtSize] ^ y>>1
		if y&1 != 0 {
			word ^= 0x9908b0df
		}
		r.state[i] = word
	}
	r.next = 0
}

// Float64 returns a multiple of 2⁻⁵³ in [0, 1).
func (r *NumPy) Float64() float64 {
	a, b := r.Uint32()>>5, r.Uint32()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}

// NormFloat64 returns a standard normal number. Of a pair the second is returned first.
func (r *NumPy) NormFloat64() float64 {
	if r.cached {
		r.cached = false
		return r.second
	}
	for {
		x, y := 2*r.Float64()-1, 2*r.Float64()-1
		s := float64(x*x) + float64(y*y) // the conversions keep the sum from being fused
		if s >= 1 || s == 0 {
			continue
		}
		f := math.Sqrt(-2 * log(s) / s)
		r.second, r.cached = f*x, true
		return f * y
	}
}

// log is the natural logarithm, rounded from some hundred bits: math.Log is up to one unit
// in the last place off, by an amount that depends on the processor, and the C library that
// drew the published numbers hardly ever is.
//
//	s = 2ᵉ m, √½ ≤ m < √2, t = (m − 1)/(m + 1), log s = e log 2 + 2 (t + t³/3 + t⁵/5 + …)
func log(s float64) float64 {
	m, e := math.Frexp(s)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	t := twoSum(m, -1).over(twoSum(m, 1))
	t2 := t.times(t)
	var sum double
	for k := 41; k >= 1; k -= 2 { // t² < 0.03: the next term is below 2⁻¹⁰⁵
		sum = sum.times(t2).plus(double{1, 0}.over(double{float64(k), 0}))
	}
	y := t.times(sum)
	y = double{2 * y.hi, 2 * y.lo}
	return y.plus(double{math.Ln2, 0x1.abc9e3b39803fp-56}.times(double{float64(e), 0})).hi
}

// double is the unevaluated sum of two numbers, of which lo is at most half a unit in the
// last place of hi (T. J. Dekker, Numerische Mathematik 18 (1971) 224–242).
type double struct{ hi, lo float64 }

func twoSum(a, b float64) double {
	s := a + b
	c := s - a
	return double{s, (a - (s - c)) + (b - c)}
}

func (a double) plus(b double) double {
	s := twoSum(a.hi, b.hi)
	return twoSum(s.hi, s.lo+a.lo+b.lo)
}

func (a double) times(b double) double {
	p := a.hi * b.hi
	return twoSum(p, math.FMA(a.hi, b.hi, -p)+(float64(a.hi*b.lo)+float64(a.lo*b.hi)))
}

func (a double) over(b double) double {
	q := a.hi / b.hi
	rest := math.FMA(-q, b.hi, a.hi) + a.lo - float64(q*b.lo)
	return twoSum(q, rest/b.hi)
}

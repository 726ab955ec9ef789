package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// scale maps the values of an axis to positions on the page.
type scale struct {
	lo, hi   float64 // range of values
	log      bool
	from, to float64 // positions of lo and hi
}

// at returns the position of v, or NaN for what the axis cannot show.
func (s scale) at(v float64) float64 {
	return s.from + s.fraction(v)*(s.to-s.from)
}

func (s scale) fraction(v float64) float64 {
	if s.log {
		if v <= 0 {
			return math.NaN()
		}
		return math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return (v - s.lo) / (s.hi - s.lo)
}

func (s scale) holds(v float64) bool {
	f := s.fraction(v)
	return f > -1e-9 && f < 1+1e-9
}

// span collects the range of the values that an axis can show.
type span struct {
	log    bool
	lo, hi float64
}

func newSpan(log bool) *span { return &span{log: log, lo: math.Inf(1), hi: math.Inf(-1)} }

func (s *span) add(values ...float64) {
	for _, v := range values {
		if !(math.Abs(v) < huge) || s.log && v < 1/huge {
			continue
		}
		s.lo, s.hi = math.Min(s.lo, v), math.Max(s.hi, v)
	}
}

// huge is beyond what an axis shows: ranges and ratios of smaller values cannot overflow.
const huge = 1e150

// fit returns the range of an axis: its own where it is fixed, else that of the data with
// a margin, a fraction of its length on both sides.
func (a *Axis) fit(data *span, margin float64) (lo, hi float64) {
	if n := len(a.Categories); n > 0 {
		return -0.5, float64(n) - 0.5
	}
	if a.Max-a.Min > 1e-9*math.Max(math.Abs(a.Min), math.Abs(a.Max)) && !(a.Log && a.Min <= 0) {
		return a.Min, a.Max
	}
	data.add(a.Include...)
	lo, hi = data.lo, data.hi
	switch {
	case lo > hi && a.Log:
		return 0.1, 10
	case lo > hi:
		return 0, 1
	case a.Log:
		if hi/lo < 1+1e-9 {
			return lo / 2, hi * 2
		}
		k := math.Pow(hi/lo, margin)
		return lo / k, hi * k
	case lo == 0 && hi == 0:
		return -0.5, 0.5
	case hi-lo <= 1e-9*math.Max(math.Abs(lo), math.Abs(hi)): // ticks could not tell them apart
		half := 0.1 * math.Abs(lo)
		return lo - half, hi + half
	}
	pad := (hi - lo) * margin
	padded := func(v, by float64) float64 {
		for _, inc := range a.Include { // an axis that is to begin at zero begins at zero
			if inc == v {
				return v
			}
		}
		return v + by
	}
	return padded(lo, -pad), padded(hi, pad)
}

// ticks returns the ticks of the axis over its range, about one for each `every` points
// of its length.
func (a *Axis) ticks(lo, hi, length, every float64) []Tick {
	if n := len(a.Categories); n > 0 {
		out := make([]Tick, n)
		for i, c := range a.Categories {
			out[i] = Tick{Value: float64(i), Label: c}
		}
		return out
	}
	if a.Ticks != nil {
		return a.Ticks
	}
	n := max(2, int(length/every))
	if a.Log {
		return logTicks(lo, hi, max(2, int(length/(0.7*every))))
	}
	return linearTicks(lo, hi, n, a.Percent)
}

// linearTicks returns about n ticks at multiples of 1, 2, 2.5 or 5 times a power of ten,
// all with the same number of decimals.
func linearTicks(lo, hi float64, n int, percent bool) []Tick {
	factor, suffix := 1.0, ""
	if percent {
		factor, suffix = 100, " %"
	}
	lo, hi = lo*factor, hi*factor
	raw := (hi - lo) / float64(n)
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	step := base
	for _, m := range []float64{2, 2.5, 5, 10} { // the nearest, in the sense of ratios
		if math.Abs(math.Log(m*base/raw)) < math.Abs(math.Log(step/raw)) {
			step = m * base
		}
	}
	first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
	exponent := 0
	if big := math.Max(math.Abs(first), math.Abs(last)) * step; big >= 1e5 || big > 0 && big < 1e-3 {
		exponent = int(math.Floor(math.Log10(big) + 1e-9))
	}
	unit := math.Pow(10, float64(exponent))
	decimals := 0
	for d := step / unit; decimals < 12 && math.Abs(d-math.Round(d)) > 1e-6*d; d *= 10 {
		decimals++
	}
	var out []Tick
	for i := range int(last-first) + 1 {
		v := (first + float64(i)) * step
		label := strings.Replace(strconv.FormatFloat(v/unit, 'f', decimals, 64), "-", "−", 1)
		if v == 0 {
			label = "0"
		} else if exponent != 0 {
			label += "×10" + superscript(exponent)
		}
		if percent {
			label += suffix
		}
		out = append(out, Tick{Value: v / factor, Label: label})
	}
	return out
}

// logTicks labels powers of ten, or, where the range holds few of them, 1, 2 and 5 times
// powers of ten; on a range that is too short for that, linear ticks.
func logTicks(lo, hi float64, n int) []Tick {
	first, last := int(math.Ceil(math.Log10(lo)-1e-9)), int(math.Floor(math.Log10(hi)+1e-9))
	decades := last - first + 1
	if decades < 2 {
		var major, minor []Tick
		for d := first - 1; d <= last+1; d++ {
			for m := 1; m <= 9; m++ {
				v := float64(m) * math.Pow(10, float64(d))
				if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
					continue
				}
				if m == 1 || m == 2 || m == 5 {
					major = append(major, Tick{Value: v, Label: power(float64(m), d)})
				} else {
					minor = append(minor, Tick{Value: v})
				}
			}
		}
		if len(major) >= 3 {
			return append(major, minor...)
		}
		return linearTicks(lo, hi, n/2+1, false) // they crowd at the upper end
	}
	stride := (decades + n - 1) / n
	var out []Tick
	for d := first - 1; d <= last; d++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow(10, float64(d))
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
				continue
			}
			switch {
			case m == 1 && d%stride == 0:
				out = append(out, Tick{Value: v, Label: powerIn(d, first, last)})
			case m == 1 || stride == 1 && decades <= 7:
				out = append(out, Tick{Value: v})
			}
		}
	}
	return out
}

// powerIn writes 10^d: as a plain number where all powers of the axis are short ones.
func powerIn(d, first, last int) string {
	if first >= -2 && last <= 3 {
		return power(1, d)
	}
	return "10" + superscript(d)
}

// power writes m·10^d.
func power(m float64, d int) string {
	switch {
	case d >= -3 && d <= 3:
		return strconv.FormatFloat(m*math.Pow(10, float64(d)), 'f', max(0, -d), 64)
	case m == 1:
		return "10" + superscript(d)
	}
	return fmt.Sprintf("%g×10%s", m, superscript(d))
}

func superscript(n int) string {
	return strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴",
		"5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(strconv.Itoa(n))
}

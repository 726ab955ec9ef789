package figure

import (
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

func labels(ticks []Tick) string {
	var out []string
	slices.SortFunc(ticks, func(a, b Tick) int { return int(math.Copysign(1, a.Value-b.Value)) })
	for _, t := range ticks {
		if t.Label != "" {
			out = append(out, t.Label)
		}
	}
	return strings.Join(out, " ")
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		axis   Axis
		lo, hi float64
		want   string
	}{
		{"unit", Axis{}, 0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{"percent", Axis{Percent: true}, 0, 1, "0 % 20 % 40 % 60 % 80 % 100 %"},
		{"narrow percent", Axis{Percent: true}, 0.9, 0.92, "90.0 % 90.5 % 91.0 % 91.5 % 92.0 %"},
		{"negative", Axis{}, -1, 1, "−1.0 −0.5 0 0.5 1.0"},
		{"large", Axis{}, 0, 4e6, "0 1×10⁶ 2×10⁶ 3×10⁶ 4×10⁶"},
		{"small", Axis{}, 0, 4e-5, "0 1×10⁻⁵ 2×10⁻⁵ 3×10⁻⁵ 4×10⁻⁵"},
		{"steps", Axis{}, 0, 20000, "0 5000 10000 15000 20000"},
		{"decades", Axis{Log: true}, 0.1, 1000, "0.1 1 10 100 1000"},
		{"many decades", Axis{Log: true}, 1e-12, 1, "10⁻¹² 10⁻¹⁰ 10⁻⁸ 10⁻⁶ 10⁻⁴ 10⁻² 10⁰"},
		{"one decade", Axis{Log: true}, 2, 50, "2 5 10 20 50"},
		{"within a decade", Axis{Log: true}, 20, 80, "20 40 60 80"},
		{"own", Axis{Ticks: []Tick{{0.1, "chance"}}}, 0, 1, "chance"},
		{"categories", Axis{Categories: []string{"a", "b"}}, -0.5, 1.5, "a b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := labels(tc.axis.ticks(tc.lo, tc.hi, 250, 50)); got != tc.want {
				t.Errorf("ticks %s\nwant  %s", got, tc.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		name       string
		want       []float64
		placed     []float64
		low, upper float64
	}{
		{"apart", []float64{10, 40, 80}, []float64{10, 40, 80}, 0, 100},
		{"together", []float64{50, 50, 50}, []float64{40, 50, 60}, 0, 100},
		{"at the top", []float64{0, 0, 90}, []float64{0, 10, 90}, 0, 100},
		{"at the bottom", []float64{98, 100}, []float64{90, 100}, 0, 100},
		{"a chain", []float64{20, 24, 35}, []float64{49.0 / 3, 79.0 / 3, 109.0 / 3}, 0, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := spread(tc.want, 10, tc.low, tc.upper)
			for i := range got {
				if !(math.Abs(got[i]-tc.placed[i]) <= 1e-9) {
					t.Fatalf("placed at %v, want %v", got, tc.placed)
				}
			}
		})
	}
}

func TestPanelsLineUp(t *testing.T) {
	f := Figure{Cols: 2, Panels: []Panel{
		{X: Axis{Label: "x"}, Y: Axis{Categories: []string{"a very long category indeed"}}}, {Title: "t"}, {}, {Y: Axis{Label: "y"}},
	}}
	l := newLayout(&f)
	for _, pair := range [][2]int{{0, 2}, {1, 3}} {
		if l.panels[pair[0]].left != l.panels[pair[1]].left {
			t.Errorf("panels %v of one column begin at %g and %g", pair, l.panels[pair[0]].left, l.panels[pair[1]].left)
		}
	}
	for _, pair := range [][2]int{{0, 1}, {2, 3}} {
		if l.panels[pair[0]].top != l.panels[pair[1]].top || l.panels[pair[0]].bottom != l.panels[pair[1]].bottom {
			t.Errorf("panels %v of one row do not line up", pair)
		}
	}
}

// Any two colours of the palette are told apart by normal sight and by the two common
// kinds of colour-blindness, simulated after Machado, Oliveira & Fernandes (2009),
// doi:10.1109/TVCG.2009.113, severity 1.
func TestPaletteForColourBlind(t *testing.T) {
	for _, eye := range []struct {
		name string
		m    [9]float64
	}{
		{"normal", [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}},
		{"deuteranopia", [9]float64{0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881}},
		{"protanopia", [9]float64{0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998}},
	} {
		for a := Blue; a <= Gray; a++ {
			for b := a + 1; b <= Gray; b++ {
				if d := distance(see(a.rgb(), eye.m), see(b.rgb(), eye.m)); !(d >= 8) {
					t.Errorf("%s: colours %d and %d are only %.1f apart (CIE76)", eye.name, a, b, d)
				}
			}
		}
	}
}

// see returns L*a*b* (D65) of a colour after a change in linear RGB.
func see(c color.NRGBA, m [9]float64) [3]float64 {
	lin := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	r0, g0, b0 := lin(c.R), lin(c.G), lin(c.B)
	var v [3]float64
	for i := range v {
		v[i] = math.Max(0, m[3*i]*r0+m[3*i+1]*g0+m[3*i+2]*b0)
	}
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124*v[0] + 0.3576*v[1] + 0.1805*v[2]) / 0.95047)
	y := f(0.2126*v[0] + 0.7152*v[1] + 0.0722*v[2])
	z := f((0.0193*v[0] + 0.1192*v[1] + 0.9505*v[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func distance(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

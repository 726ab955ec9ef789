package figure

import (
	"image/color"
	"math"
)

// Color is a colour of the palette.
type Color int

// The palette. The first six are those of Okabe and Ito ("Color Universal Design", 2008)
// that show on white, the next two are from Tol ("Colour Schemes", 2021, muted).
const (
	Auto Color = iota // the next colour that no other name has
	Blue
	Vermillion
	Green
	Purple
	Sky
	Orange
	Wine
	Olive
	Gray // for controls and references; never chosen by Auto
)

var palette = [...]color.NRGBA{
	Blue:       hex(0x0072B2),
	Vermillion: hex(0xD55E00),
	Green:      hex(0x009E73),
	Purple:     hex(0xCC79A7),
	Sky:        hex(0x56B4E9),
	Orange:     hex(0xE69F00),
	Wine:       hex(0x882255),
	Olive:      hex(0x7A7A2E),
	Gray:       hex(0x7B828A),
}

// What is not data.
var (
	paper = hex(0xFFFFFF)
	ink   = hex(0x1F2328) // titles and labels
	faint = hex(0x59636E) // axes and ticks
	rule  = hex(0xE4E7EB) // grid
	empty = hex(0xD0D4D9) // cells without a value

	onLight = hex(0x1A1D21) // text within cells, whatever the page's colours are
	onDark  = hex(0xFDFDFD)
)

func hex(rgb uint32) color.NRGBA {
	return color.NRGBA{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 0xFF}
}

func (c Color) rgb() color.NRGBA {
	if c <= Auto || int(c) >= len(palette) {
		return ink
	}
	return palette[c]
}

func alpha(c color.NRGBA, a float64) color.NRGBA {
	c.A = uint8(math.Round(255 * a))
	return c
}

// viridis (van der Walt & Smith 2015) at 0, 1/8, …, 1.
var viridis = []color.NRGBA{
	hex(0x440154), hex(0x472D7B), hex(0x3B528B), hex(0x2C728E), hex(0x21918C),
	hex(0x28AE80), hex(0x5EC962), hex(0xADDC30), hex(0xFDE725),
}

// diverging is the scheme BuRd of Tol (2021).
var diverging = []color.NRGBA{
	hex(0x2166AC), hex(0x4393C3), hex(0x92C5DE), hex(0xD1E5F0), hex(0xF7F7F7),
	hex(0xFDDBC7), hex(0xF4A582), hex(0xD6604D), hex(0xB2182B),
}

// ramp returns the colour at t in [0, 1], interpolated between the anchors.
func ramp(anchors []color.NRGBA, t float64) color.NRGBA {
	t = math.Min(math.Max(t, 0), 1) * float64(len(anchors)-1)
	i := min(int(t), len(anchors)-2)
	w := t - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-w) + float64(b)*w)) }
	a, b := anchors[i], anchors[i+1]
	return color.NRGBA{R: mix(a.R, b.R), G: mix(a.G, b.G), B: mix(a.B, b.B), A: 0xFF}
}

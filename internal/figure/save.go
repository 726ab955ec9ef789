package figure

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"attractor/internal/atomicfile"
)

// dpi is twice the 96 dots per inch that screens count in.
const dpi = 192

// Files are the files that Save makes of a figure.
func Files(name string) []string { return []string{name + ".png", name + ".svg"} }

// Save writes dir/name.png and dir/name.svg, each by rename, so that a reader never sees
// half a file. dir must exist.
func Save(dir, name string, f Figure) error {
	for _, out := range []struct {
		ext   string
		bytes func(Figure) ([]byte, error)
	}{{".png", PNG}, {".svg", SVG}} {
		b, err := out.bytes(f)
		if err != nil {
			return err
		}
		err = atomicfile.Write(filepath.Join(dir, name+out.ext), func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
		if err != nil {
			return fmt.Errorf("figure: save %s: %w", name+out.ext, err)
		}
	}
	return nil
}

// PNG returns the figure as a PNG at 192 dots per inch.
func PNG(f Figure) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	l := newLayout(&f)
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(l.width), vg.Length(l.height)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(paper))
	l.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, fmt.Errorf("figure %q: encode PNG: %w", f.Title, err)
	}
	return b.Bytes(), nil
}

// SVG returns the figure as an SVG document. It names the Liberation Sans font and, where
// that is missing, others of the same widths.
func SVG(f Figure) ([]byte, error) {
	body, l, err := svgBody(f)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<svg xmlns="http://www.w3.org/2000/svg" width="%gpt" height="%gpt" viewBox="0 0 %g %g" role="img">`+"\n<title>%s</title>\n"+
		`<rect width="100%%" height="100%%" fill="%s"/>`+"\n",
		l.width, l.height, l.width, l.height, html.EscapeString(l.alt()), code(paper))
	b.WriteString(body)
	return b.Bytes(), nil
}

// InlineSVG returns the figure as an <svg> element to be put into a page. It fills the
// width it is given, has no background, and takes its colours from the properties
// --figure-ink, -faint, -rule, -paper, -empty and --figure-1 … --figure-9 (the palette)
// of the page where those are set, so that a dark page can have light text.
func InlineSVG(f Figure) (string, error) {
	body, l, err := svgBody(f)
	if err != nil {
		return "", err
	}
	vars := []string{
		code(ink), "var(--figure-ink," + code(ink) + ")",
		code(faint), "var(--figure-faint," + code(faint) + ")",
		code(rule), "var(--figure-rule," + code(rule) + ")",
		code(paper), "var(--figure-paper," + code(paper) + ")",
		code(empty), "var(--figure-empty," + code(empty) + ")",
	}
	for i := range palette {
		if c := Color(i); c > Auto {
			name := fmt.Sprintf("var(--figure-%d,%s)", i, code(c.rgb()))
			vars = append(vars, code(c.rgb()), name, translucent(alpha(c.rgb(), bandAlpha)), name)
		}
	}
	return fmt.Sprintf(`<svg class="figure" viewBox="0 0 %g %g" style="max-width:%gpx" role="img" aria-label="%s">`+"\n",
		l.width, l.height, 1.5*l.width, html.EscapeString(l.alt())) + strings.NewReplacer(vars...).Replace(body), nil
}

func code(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// translucent is the code that the canvas writes for a colour that is not opaque: it
// divides by the opacity and rounds down.
func translucent(c color.NRGBA) string {
	r, g, b, a := c.RGBA()
	k := 255 / float64(a)
	return fmt.Sprintf("#%02X%02X%02X", int(float64(r)*k), int(float64(g)*k), int(float64(b)*k))
}

var (
	opening = regexp.MustCompile(`(?s)^.*?<svg[^>]*>\n`)
	written = regexp.MustCompile(`<text ([^>]*?)\s+style="font-family:Liberation Sans;font-variant:[a-z]+;font-weight:([a-z]+);font-style:normal;font-size:([0-9.]+)px([^"]*)">([^<]*)</text>`)
)

// svgBody returns what stands between the opening tag and the end of the document.
func svgBody(f Figure) (string, *layout, error) {
	if err := f.check(); err != nil {
		return "", nil, err
	}
	l := newLayout(&f)
	c := vgsvg.New(vg.Length(l.width), vg.Length(l.height))
	l.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", nil, fmt.Errorf("figure %q: encode SVG: %w", f.Title, err)
	}
	s := opening.ReplaceAllString(b.String(), "")
	return written.ReplaceAllStringFunc(s, setText), l, nil
}

// setText names fonts that may stand in for ours, and states the length of the text, so
// that one with other widths is stretched and covers nothing.
func setText(element string) string {
	m := written.FindStringSubmatch(element)
	place, weight, size, rest, text := m[1], m[2], m[3], m[4], m[5]
	st := style{font: regular}
	if weight == "bold" {
		st.font = bold
	}
	if _, err := fmt.Sscan(size, &st.size); err != nil {
		return element
	}
	return fmt.Sprintf(`<text %s textLength="%.5g" lengthAdjust="spacingAndGlyphs" style="font-family:'Liberation Sans',Arial,Helvetica,sans-serif;font-weight:%s;font-size:%spx%s">%s</text>`,
		place, st.width(html.UnescapeString(text)), weight, size, rest, text)
}

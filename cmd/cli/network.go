package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/internal/budget"
	"attractor/internal/catalog"
	"attractor/internal/checkpoint"
	"attractor/internal/kernels"
	"attractor/internal/npz"
	"attractor/internal/quote"
	"attractor/internal/regular"
	"attractor/models"
)

// network is someone's own network z = φ(Wz + Ux + b), from a file, or with feedback loops
// z = φ(Wz + m(nz) + Ux + b).
type network struct {
	path                   string
	units, inputs, samples int
	loops                  int
	w, b                   []float64 // [units, units], with mn in it, and [units]
	m, n                   []float64 // [units, loops] and [loops, units]; nil where the file has none
	u                      []float64 // [units, inputs]; zeros of one input where the file has none
	x                      []float64 // [samples, inputs]; zeros of one sample where the file has none
	z0                     []float64 // [samples, units]; nil for zeros
	hasU, hasX             bool
	given, ignored         []string // which of these there are; arrays that are none of these
}

// arrays is a file of arrays.
type arrays interface {
	names() []string
	shape(name string) ([]int, error)
	read(name string) ([]float64, error)
}

// openArrays opens an .npz or .safetensors file, which it tells apart by its contents.
func openArrays(path string) (_ arrays, close func() error, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, nil, err
	}
	head := make([]byte, 9)
	n, err := io.ReadFull(f, head)
	f.Close()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	head = head[:n]
	isZip := bytes.HasPrefix(head, []byte("PK"))
	if !isZip && (strings.HasSuffix(path, ".safetensors") || n == 9 && head[8] == '{' && bytes.Equal(head[4:8], make([]byte, 4))) {
		c, err := checkpoint.LoadForeign(path, func(name string) bool { array, _ := arrayOf(name); return array != "" })
		if err != nil {
			return nil, nil, err
		}
		return tensors{path, c.Tensors}, func() error { return nil }, nil
	}
	z, err := npz.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return archive{z}, z.Close, nil
}

type archive struct{ *npz.File }

func (a archive) names() []string { return a.Names() }

func (a archive) shape(name string) ([]int, error) {
	h, err := a.Header(name)
	return h.Shape, err
}

func (a archive) read(name string) ([]float64, error) {
	v, err := a.Read(name)
	return v.Data, err
}

type tensors struct {
	path  string
	named map[string]checkpoint.Tensor
}

func (t tensors) names() []string { return slices.Sorted(maps.Keys(t.named)) }

func (t tensors) shape(name string) ([]int, error) { return t.named[name].Shape, nil }

func (t tensors) read(name string) ([]float64, error) {
	switch d := t.named[name].Data.(type) {
	case []float64:
		return d, nil
	case []float32:
		return floats(d), nil
	case []int64:
		out := floats(d)
		for i, v := range out {
			if v >= 1<<63 || int64(v) != d[i] {
				return nil, fmt.Errorf("%s: tensor %s: expected integers that a float64 holds, as those up to 2⁵³ are, found %d", t.path, quote.Name(name), d[i])
			}
		}
		return out, nil
	case []uint8:
		return floats(d), nil
	}
	return nil, fmt.Errorf("%s: tensor %s: expected numbers, found %T", t.path, quote.Name(name), t.named[name].Data)
}

func floats[N float32 | int64 | uint8](in []N) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}

// arrayNames are the arrays of a network by the names that they may have.
var arrayNames = map[string]string{
	"W": "W", "U": "U", "b": "b", "x": "x", "z0": "z0", "m": "m", "n": "n",

	// PyTorch's nn.RNN and nn.RNNCell, whose two biases add up.
	"weight_hh_l0": "W", "weight_ih_l0": "U", "bias_hh_l0": "b", "bias_ih_l0": "b",
	"weight_hh": "W", "weight_ih": "U", "bias_hh": "b", "bias_ih": "b",
}

// arrayOf returns which array of a network one in a file is, and its name without that of a module of PyTorch, such
// as rnn. or the params/ of our own checkpoints.
func arrayOf(name string) (array, short string) {
	short = strings.TrimPrefix(name, "params/")
	if array = arrayNames[short]; array == "" {
		short = name[strings.LastIndex(name, ".")+1:]
		if array = arrayNames[short]; array == short {
			array = ""
		}
	}
	return array, short
}

// torch is the name of a parameter of PyTorch's recurrent modules.
var torch = regexp.MustCompile(`^(weight|bias)_(ih|hh|hr)(?:_l([0-9]+)(_reverse)?)?$`)

// unread says why an array of PyTorch's belongs to a module of which no network z = φ(Wz + Ux + b) can
// be made, or is empty.
func unread(name string, shape []int) string {
	m := torch.FindStringSubmatch(name[strings.LastIndex(name, ".")+1:])
	switch {
	case m == nil:
		return ""
	case m[4] != "":
		return "of the backward direction of a bidirectional module"
	case m[2] == "hr":
		return "of an LSTM with proj_size"
	case strings.Trim(m[3], "0") != "":
		return fmt.Sprintf("of layer %.20s, counted from 0, of a module of several layers", m[3])
	case m[1] != "weight" || m[2] != "hh" || len(shape) != 2 || shape[1] < 1:
		return ""
	case shape[0] == 3*shape[1]:
		return fmt.Sprintf("%s, of three gates: that of a GRU", bracketed(shape))
	case shape[0] == 4*shape[1]:
		return fmt.Sprintf("%s, of four gates: that of an LSTM", bracketed(shape))
	case shape[0]%4 == 0 && shape[0] > shape[1]:
		return fmt.Sprintf("%s: that of an LSTM with proj_size", bracketed(shape))
	}
	return ""
}

// loadNetwork reads a network, of which W must be there. Its errors name the file and the array.
func loadNetwork(path string) (*network, error) {
	file, closeFile, err := openArrays(path)
	if err != nil {
		return nil, err
	}
	defer closeFile()
	n := &network{path: path}
	shapes := map[string][]int{}
	inFile := map[string][]string{} // the names in the file, of what adds up
	numbers := 0.0
	for _, name := range file.names() {
		array, short := arrayOf(name)
		var shape []int
		if array != "" {
			if shape, err = file.shape(name); err != nil {
				return nil, err
			}
		}
		if why := unread(name, shape); why != "" {
			return nil, fmt.Errorf("%s: array %s is %s: expected the arrays of a vanilla nn.RNN or nn.RNNCell of one layer and one direction, z = φ(Wz + Ux + b); save such a part by itself", path, quote.Name(name), why)
		}
		if array == "" {
			n.ignored = append(n.ignored, name)
			continue
		}
		for _, other := range inFile[array] {
			_, old := arrayOf(other)
			if old == short || !strings.HasPrefix(old, "bias_") || !strings.HasPrefix(short, "bias_") {
				return nil, fmt.Errorf("%s: expected one array %q, found %s and %s", path, array, quote.Name(other), quote.Name(name))
			}
			if !slices.Equal(shapes[array], shape) {
				return nil, fmt.Errorf("%s: array %s: expected shape %s, as that of %s, found %s", path, quote.Name(name), bracketed(shapes[array]), quote.Name(other), bracketed(shape))
			}
		}
		shapes[array], inFile[array] = shape, append(inFile[array], name)
		size := 1.0
		for _, d := range shape {
			size *= float64(d)
		}
		numbers += size
	}
	if _, ok := shapes["W"]; !ok {
		return nil, n.missing("W", file.names())
	}
	n.given = slices.Sorted(maps.Keys(shapes))
	if err := n.shape(shapes); err != nil {
		return nil, err
	}
	// What is read, what the layer holds of it, and packed for its programs.
	if err := budget.Fit(4*8*numbers, fmt.Sprintf("%s: a network of %d units, %d inputs and %d samples", path, n.units, n.inputs, n.samples), "analyse a smaller network or fewer samples"); err != nil {
		return nil, err
	}
	for array, dst := range map[string]*[]float64{"W": &n.w, "U": &n.u, "b": &n.b, "x": &n.x, "z0": &n.z0, "m": &n.m, "n": &n.n} {
		for _, name := range inFile[array] {
			data, err := file.read(name)
			if err != nil {
				return nil, err
			}
			for i, v := range data {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("%s: array %s: expected finite numbers, found %v at %s", path, quote.Name(name), v, bracketed(position(i, shapes[array])))
				}
			}
			if *dst == nil {
				*dst = data
			} else {
				kernels.Add(*dst, *dst, data)
			}
		}
	}
	if n.loops > 0 {
		kernels.Gemm(false, false, n.units, n.units, n.loops, n.m, n.loops, n.n, n.units, 1, n.w, n.units)
	}
	if n.b == nil {
		n.b = make([]float64, n.units)
	}
	if n.u == nil {
		n.u = make([]float64, n.units*n.inputs)
	}
	if n.x == nil {
		n.x = make([]float64, n.samples*n.inputs)
	}
	if len(n.z0) < n.samples*n.units && n.z0 != nil { // one for all samples
		n.z0 = slices.Repeat(n.z0, n.samples)
	}
	return n, nil
}

func (n *network) missing(name string, have []string) error {
	found := "none"
	if len(have) > 0 {
		found = "only " + quote.Names(have)
	}
	for _, h := range have { // one letter is as near as any other
		if len(name) == 1 && strings.EqualFold(h, name) || len(name) > 1 && catalog.Nearest(name, []string{h}) != "" {
			found += fmt.Sprintf("; did you mean %s=%s?", name, quote.Path(h))
			break
		}
	}
	if slices.ContainsFunc(have, func(h string) bool { return strings.HasSuffix(h, "data.pkl") }) {
		found = "a pickle of PyTorch; save the tensors by safetensors.torch.save_file"
	}
	return fmt.Errorf("%s: expected an array %q, found %s", n.path, name, found)
}

// warn says which arrays of the file are ignored, and which may have been meant.
func (n *network) warn(log *slog.Logger) {
	if len(n.ignored) == 0 {
		return
	}
	hint := ""
	for _, name := range n.ignored {
		for _, known := range []string{"b", "U", "x", "z0", "m", "n"} {
			if strings.EqualFold(name, known) && !slices.Contains(n.given, known) {
				hint = fmt.Sprintf("; %s is called %s here", quote.Name(name), known)
			}
		}
	}
	log.Warn("arrays that have no meaning here are ignored"+hint, "file", n.path, "names", quote.Bare(n.ignored))
}

// shape checks the shapes against each other and sets the sizes.
func (n *network) shape(shapes map[string][]int) error {
	fail := func(name, expected string) error {
		return fmt.Errorf("%s: array %q: expected shape %s, found %s", n.path, name, expected, bracketed(shapes[name]))
	}
	w := shapes["W"]
	if len(w) != 2 || w[0] != w[1] || w[0] < 1 {
		return fail("W", "[n, n]")
	}
	n.units, n.inputs, n.samples = w[0], 1, 1
	if b, ok := shapes["b"]; ok && !slices.Equal(b, []int{n.units}) {
		return fail("b", fmt.Sprintf("[%d], as W is %s", n.units, bracketed(w)))
	}
	u, ok := shapes["U"]
	if n.hasU = ok; ok {
		if len(u) != 2 || u[0] != n.units || u[1] < 1 {
			return fail("U", fmt.Sprintf("[%d, inputs], as W is %s", n.units, bracketed(w)))
		}
		n.inputs = u[1]
	}
	x, ok := shapes["x"]
	if n.hasX = ok; ok {
		switch {
		case !n.hasU:
			return fmt.Errorf("%s: expected an array \"U\" to go with x, found none", n.path)
		case len(x) == 1 && x[0] == n.inputs:
		case len(x) == 2 && x[0] >= 1 && x[1] == n.inputs:
			n.samples = x[0]
		default:
			return fail("x", fmt.Sprintf("[samples, %d] or [%d], as U is %s", n.inputs, n.inputs, bracketed(u)))
		}
	}
	if err := n.loopShape(shapes, fail); err != nil {
		return err
	}
	z0, ok := shapes["z0"]
	if ok && !slices.Equal(z0, []int{n.units}) && !slices.Equal(z0, []int{n.samples, n.units}) {
		samples := "as there is no x and so one sample"
		if n.hasX {
			samples = fmt.Sprintf("as W is %s and x %s", bracketed(w), bracketed(x))
		}
		return fail("z0", fmt.Sprintf("[%d, %d] or [%d], %s", n.samples, n.units, n.units, samples))
	}
	return nil
}

// loopShape checks those of the loops.
func (n *network) loopShape(shapes map[string][]int, fail func(name, expected string) error) error {
	m, into := shapes["m"]
	out, from := shapes["n"]
	switch {
	case !into && !from:
		return nil
	case into != from:
		return fmt.Errorf("%s: expected the arrays \"m\" and \"n\" of feedback loops, found one of them", n.path)
	case len(m) == 1 && m[0] == n.units:
		n.loops = 1
	case len(m) == 2 && m[0] == n.units && m[1] >= 1:
		n.loops = m[1]
	default:
		return fail("m", fmt.Sprintf("[%d, loops] or [%d], as W is %s", n.units, n.units, bracketed(shapes["W"])))
	}
	if !slices.Equal(out, []int{n.loops, n.units}) && !(n.loops == 1 && slices.Equal(out, []int{n.units})) {
		return fail("n", fmt.Sprintf("[%d, %d], as m is %s", n.loops, n.units, bracketed(m)))
	}
	return nil
}

// bracketed is a shape or a position as Python prints a list.
func bracketed(n []int) string {
	return strings.ReplaceAll(fmt.Sprint(n), " ", ", ")
}

// position is the place of the element i of an array.
func position(i int, shape []int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d], i = i%shape[d], i/shape[d]
	}
	return at
}

// compile makes the layer of a network, and its inputs and initial states.
func compile[T deq.Float](n *network, activation string) (l *deq.Layer[T], x, z0 []T, err error) {
	if l, err = deq.New[T](models.Rate{N: n.units, Activation: activation}, n.inputs, 1, 0, deq.Config{Batch: n.samples}); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", n.path, err)
	}
	x = make([]T, len(n.x))
	if n.z0 != nil {
		z0 = make([]T, len(n.z0))
	}
	err = l.Update(func(p deq.Params[T]) error {
		for _, a := range []struct {
			name string
			from []float64
			to   []T
		}{{"W", n.w, p.Data("W")}, {"U", n.u, p.Data("U")}, {"b", n.b, p.Data("b")}, {"x", n.x, x}, {"z0", n.z0, z0}} {
			for i, v := range a.from {
				if a.to[i] = T(v); math.IsInf(float64(a.to[i]), 0) {
					return fmt.Errorf("%s: array %q: %g is beyond the range of %T", n.path, a.name, v, a.to[i])
				}
			}
		}
		return nil
	})
	return l, x, z0, err
}

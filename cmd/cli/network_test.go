package cli

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tensor is an array of a file that a test writes.
type tensor struct {
	name, dtype string
	shape       []int
	data        []byte
}

func f32(name string, shape []int, values ...float32) tensor {
	t := tensor{name: name, dtype: "F32", shape: shape}
	for _, v := range values {
		t.data = binary.LittleEndian.AppendUint32(t.data, math.Float32bits(v))
	}
	for len(values) == 0 && len(t.data) < 4*size(shape) {
		t.data = append(t.data, 0, 0, 0, 0)
	}
	return t
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// safetensors writes a file as the package of that name does.
func safetensors(t testing.TB, tensors ...tensor) string {
	t.Helper()
	header, data := map[string]any{}, []byte{}
	for _, x := range tensors {
		header[x.name] = map[string]any{"dtype": x.dtype, "shape": x.shape, "data_offsets": []int{len(data), len(data) + len(x.data)}}
		data = append(data, x.data...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rnn are the parameters of nn.RNN(1, 2).
func rnn(prefix, suffix string) []tensor {
	return []tensor{
		f32(prefix+"weight_ih"+suffix, []int{2, 1}, 1, 2), f32(prefix+"weight_hh"+suffix, []int{2, 2}, .5, 0, -.25, .5),
		f32(prefix+"bias_ih"+suffix, []int{2}, .25, 0), f32(prefix+"bias_hh"+suffix, []int{2}, .25, 1),
	}
}

// What PyTorch saves is read as the network that it is, whatever the types and the rest of the file.
func TestForeignNetworks(t *testing.T) {
	full := rnn("", "_l0")
	half := slices.Clone(full)
	half[1] = tensor{"weight_hh_l0", "F16", []int{2, 2}, []byte("\x00\x38\x00\x00\x00\xb4\x00\x38")}
	brain := slices.Clone(full)
	brain[1] = tensor{"weight_hh_l0", "BF16", []int{2, 2}, []byte("\x00\x3f\x00\x00\x80\xbe\x00\x3f")}
	buffers := slices.Concat(full, []tensor{
		{"mask", "BOOL", []int{3}, []byte{1, 0, 1}}, {"steps", "I32", []int{}, make([]byte, 4)}, {"scale", "F8_E4M3", []int{2}, []byte{1, 2}},
		{"count", "U64", []int{1}, bytes.Repeat([]byte{255}, 8)}, {"fc.weight", "C64", []int{1}, make([]byte, 8)},
	})
	for name, tensors := range map[string][]tensor{
		"RNN": full, "RNNCell": rnn("cell.", ""), "module": rnn("model.rnn.", "_l0"), "float16": half, "bfloat16": brain, "buffers": buffers,
	} {
		n, err := loadNetwork(safetensors(t, tensors...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(n.w, []float64{.5, 0, -.25, .5}) || !slices.Equal(n.u, []float64{1, 2}) || !slices.Equal(n.b, []float64{.5, 1}) {
			t.Errorf("%s: W %v, U %v, b %v", name, n.w, n.u, n.b)
		}
		if name == "buffers" && len(n.ignored) != 5 || name != "buffers" && len(n.ignored) != 0 {
			t.Errorf("%s: ignored %q", name, n.ignored)
		}
	}
	// Whole numbers and booleans are weights too; no bias is a bias of 0.
	n, err := loadNetwork(safetensors(t, tensor{"W", "I8", []int{2, 2}, []byte{0, 0xff, 2, 0}}, tensor{"U", "BOOL", []int{2, 1}, []byte{1, 0}}))
	if err != nil || !slices.Equal(n.w, []float64{0, -1, 2, 0}) || !slices.Equal(n.u, []float64{1, 0}) || !slices.Equal(n.b, []float64{0, 0}) {
		t.Errorf("%+v, %v", n, err)
	}
}

// What is no vanilla network of one layer is refused with the reason, by both commands.
func TestUnreadNetworks(t *testing.T) {
	with := func(more ...tensor) []tensor { return slices.Concat(more, rnn("", "_l0")) }
	for name, c := range map[string]struct {
		tensors []tensor
		want    string
	}{
		"GRU":           {[]tensor{f32("weight_hh_l0", []int{15, 5}), f32("weight_ih_l0", []int{15, 2})}, `"weight_hh_l0" is [15, 5], of three gates: that of a GRU`},
		"GRUCell":       {[]tensor{f32("rnn.weight_hh", []int{3, 1})}, `"rnn.weight_hh" is [3, 1], of three gates: that of a GRU`},
		"LSTM":          {[]tensor{f32("weight_hh_l0", []int{20, 5})}, "of four gates: that of an LSTM"},
		"LSTMCell":      {[]tensor{f32("weight_hh", []int{4, 1})}, "of four gates: that of an LSTM"},
		"proj_size":     {[]tensor{f32("weight_hr_l0", []int{2, 5}), f32("weight_hh_l0", []int{20, 2})}, "that of an LSTM with proj_size"},
		"two layers":    {with(f32("weight_hh_l1", []int{2, 2})), `"weight_hh_l1" is of layer 1, counted from 0, of a module of several layers`},
		"twelve layers": {with(f32("net.bias_ih_l11", []int{2})), "of layer 11"},
		"bidirectional": {with(f32("weight_hh_l0_reverse", []int{2, 2})), "of the backward direction of a bidirectional module"},
		"type not read": {with(tensor{"U", "F8_E5M2", []int{2, 1}, []byte{1, 2}}), `tensor "U": the file holds something else: expected floats of 16 to 64 bits, integers or booleans, found "F8_E5M2"`},
		"large integer": {[]tensor{{"W", "I64", []int{1, 1}, []byte{1, 0, 0, 0, 0, 0, 0x20, 0}}}, "integers that a float64 holds, as those up to 2⁵³ are, found 9007199254740993"},
		"two modules":   {slices.Concat(rnn("a.", ""), rnn("b.", "")), `expected one array "b", found "a.bias_hh" and "b.bias_hh"`},
		"many names":    {slices.Repeat([]tensor{f32("x\x1b[31m", []int{}, 1)}, 1), `found only "x\x1b[31m"`},
	} {
		path := safetensors(t, c.tensors...)
		for _, command := range []string{"solve", "analyze"} {
			code, stdout, stderr := run(t, command, path, "-q")
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "\x1b") {
				t.Errorf("%s, %s: exit code %d, %q, want %q: %s", name, command, code, stdout, c.want, stderr)
			}
		}
	}
	many := []tensor{}
	for i := range 1000 {
		many = append(many, f32("t"+strings.Repeat("i", i), []int{}, 1))
	}
	if _, err := loadNetwork(safetensors(t, many...)); err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "and 990 more") {
		t.Errorf("error %v of a file of 1000 arrays", err)
	}
	n, err := loadNetwork(safetensors(t, f32("W", []int{1, 1}, 1), f32("B", []int{1}, 1)))
	if err != nil || !slices.Equal(n.ignored, []string{"B"}) {
		t.Errorf("%+v, %v", n, err)
	}
	_, _, stderr := run(t, "solve", safetensors(t, f32("W", []int{1, 1}, 1), f32("B", []int{1}, 1)))
	if !strings.Contains(stderr, `\"B\" is called b here`) {
		t.Errorf("of an array B: %s", stderr)
	}
}

// FuzzNetworkArray changes arrays and zips them afterwards, as the sums of the archive would stop it otherwise.
func FuzzNetworkArray(f *testing.F) {
	array := func(header string, values ...float64) []byte {
		b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
		b = append(b, header...)
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b
	}
	f.Add("W", array("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 0, 1, .5, 0), "b", array("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", 1, 2))
	f.Add("weight_hh_l0", array("{'descr': '>i8', 'fortran_order': True, 'shape': (1L, 1L), }", 0), "U", array("{'descr': '?', 'fortran_order': False, 'shape': (1, 8)}", 1))
	f.Add("weight_hh_l0", array("{'descr': 'd', 'fortran_order': True, 'shape': (3, 1)}", 1, 2, 3), "x", array("{'descr': 'e', 'fortran_order': False, 'shape': ()}"))
	f.Fuzz(func(t *testing.T, one string, first []byte, two string, second []byte) {
		path := filepath.Join(t.TempDir(), "network.npz")
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for i, name := range []string{one, two} {
			w, err := z.Create(name + ".npy")
			if err != nil {
				return
			}
			if _, err := w.Write([][]byte{first, second}[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		n, err := loadNetwork(path)
		if err != nil {
			return
		}
		if len(n.w) != n.units*n.units || len(n.b) != n.units || len(n.u) != n.units*n.inputs || len(n.x) != n.samples*n.inputs {
			t.Errorf("%d units, %d inputs, %d samples: %d, %d, %d, %d numbers", n.units, n.inputs, n.samples, len(n.w), len(n.b), len(n.u), len(n.x))
		}
	})
}

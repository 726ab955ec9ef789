package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func example() File {
	return File{
		Tensors: map[string]Tensor{
			"params/W":   Of([]float32{1, -2, float32(math.Inf(1)), 0.1, 5, -0}, 2, 3),
			"params/b":   Of([]float64{math.Pi, math.MaxFloat64}),
			"optim/step": Of([]int64{-1 << 63}, []int{}...),
			"mask":       Of([]uint8{0, 255, 7}, 3, 1),
			"empty":      Of([]float32{}, 0, 4),
		},
		Meta: map[string]string{"step": "120", "config": "a: <1>\nπ: \"x\"", "": ""},
	}
}

func encoded(t testing.TB, f File) []byte {
	t.Helper()
	views, err := prepare("f", f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := encode(&b, views, f.Meta); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoded(b []byte, own bool) (*File, error) {
	return decode(bytes.NewReader(b), int64(len(b)), reading{own: own})
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	for _, want := range []File{example(), {Tensors: map[string]Tensor{}, Meta: map[string]string{}}} {
		if err := Save(path, want); err != nil {
			t.Fatal(err)
		}
		for _, load := range []func(string) (*File, error){Load, func(path string) (*File, error) { return LoadForeign(path, nil) }} {
			got, err := load(path)
			if err != nil {
				t.Fatal(err)
			}
			want.path = path
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("loaded\n%v, want\n%v", got, want)
			}
		}
	}
	if !bytes.Equal(encoded(t, example()), encoded(t, example())) {
		t.Error("the same contents gave two different files")
	}
}

func TestScalar(t *testing.T) {
	f := File{Tensors: map[string]Tensor{"x": {Data: []float64{3}}}}
	got, err := decoded(encoded(t, f), true)
	if err != nil {
		t.Fatal(err)
	}
	if x := got.Tensors["x"]; len(x.Shape) != 0 || !reflect.DeepEqual(x.Data, []float64{3}) {
		t.Errorf("loaded %+v", x)
	}
}

// Whatever is saved is loaded, across the reading buffer's length too.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := File{Tensors: map[string]Tensor{}, Meta: map[string]string{}}
		names := rapid.SliceOfNDistinct(rapid.StringN(1, 20, 60), 0, 5, rapid.ID[string]).Draw(t, "names")
		for _, name := range names {
			n := rapid.IntRange(0, 20000).Draw(t, "n")
			bits := rapid.Uint64().Draw(t, "bits")
			switch rapid.IntRange(0, 3).Draw(t, "type") {
			case 0:
				f.Tensors[name] = Of(filled(n, float32(bits)), n)
			case 1:
				f.Tensors[name] = Of(filled(2*n, float64(bits)), n, 2)
			case 2:
				f.Tensors[name] = Of(filled(n, int64(bits)), n, 1)
			case 3:
				f.Tensors[name] = Of(filled(n, uint8(bits)))
			}
			f.Meta[name] = rapid.StringN(0, 10, 40).Draw(t, "text")
		}
		views, err := prepare("f", f)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := encode(&b, views, f.Meta); err != nil {
			t.Fatal(err)
		}
		got, err := decoded(b.Bytes(), true)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, f) {
			t.Errorf("loaded %v, want %v", got, f)
		}
	})
}

func filled[E Element](n int, first E) []E {
	v := make([]E, n)
	for i := range v {
		v[i] = first + E(i)
	}
	return v
}

// mustFail demands an *Error that wraps one of the package's.
func mustFail(t *testing.T, err error, kinds ...error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error %v is no *Error", err)
		return
	}
	for _, k := range kinds {
		if errors.Is(err, k) {
			return
		}
	}
	t.Errorf("error %v, want one of %v", err, kinds)
}

func TestTruncated(t *testing.T) {
	whole := encoded(t, example())
	for n := range whole {
		f, err := decoded(whole[:n], true)
		if f != nil {
			t.Fatalf("the first %d of %d bytes were loaded", n, len(whole))
		}
		mustFail(t, err, ErrTruncated)
	}
	// A file that shrinks while it is read.
	for n := range whole {
		_, err := decode(bytes.NewReader(whole[:n]), int64(len(whole)), reading{own: true})
		mustFail(t, err, ErrTruncated)
	}
}

// Every flipped bit is found, or makes no difference (the case of a hexadecimal digit).
func TestBitFlips(t *testing.T) {
	whole := encoded(t, example())
	want, err := decoded(whole, true)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range len(whole) * 8 {
		whole[i/8] ^= 1 << (i % 8)
		got, err := decoded(whole, true)
		switch {
		case err != nil:
			mustFail(t, err, ErrCorrupt, ErrTruncated, ErrMismatch)
		case reflect.DeepEqual(got, want):
			same++
		default:
			t.Errorf("bit %d of byte %d was flipped unseen", i%8, i/8)
		}
		whole[i/8] ^= 1 << (i % 8)
	}
	if same > 2 { // the c of \u003c and the e of \u003e in "a: <1>"
		t.Errorf("%d flips made no difference, want at most 2", same)
	}
}

func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestDamagedHeaders(t *testing.T) {
	huge := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	for _, c := range []struct {
		name string
		file []byte
		kind error
		want string // part of the message
	}{
		{"empty", nil, ErrTruncated, "expected at least 8 bytes, found 0"},
		{"lying length", append(huge, '{', '}'), ErrCorrupt, "found a length of 18446744073709551615 (is it a safetensors file?)"},
		{"length beyond the file", binary.LittleEndian.AppendUint64(nil, 1<<20), ErrTruncated, "expected a header of 1048576 bytes, found 0 bytes after its length"},
		{"zip archive", []byte("PK\x03\x04 and so on, as in .npz"), ErrCorrupt, "is it a safetensors file?"},
		{"no JSON", raw("{not json", 0), ErrCorrupt, "expected a JSON header"},
		{"null", raw("null", 0), ErrCorrupt, "'n' at its start"},
		{"array", raw("[]", 0), ErrCorrupt, "'[' at its start"},
		{"unfinished", raw(`{"a":{"dtype":"F32"`, 0), ErrCorrupt, "expected a JSON header"},
		{"two values", raw(`{}{}`, 0), ErrCorrupt, "expected a JSON header"},
		{"twice", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrCorrupt, `"a" twice`},
		{"key twice", raw(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrCorrupt, `"dtype" twice`},
		{"deep", raw(`{"a":{"shape":[`+strings.Repeat("[", 1<<16), 0), ErrCorrupt, "nested more than 3 deep"},
		{"many dimensions", raw(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,1]}}`, 1), ErrCorrupt, "more than 64 numbers"},
		{"no type", raw(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), ErrCorrupt, `tensor "a": expected dtype, shape and data_offsets`},
		{"unknown type", raw(`{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}`, 1), ErrMismatch, `expected floats of 16 to 64 bits, integers or booleans, found "F7"`},
		{"number for texts", raw(`{"__metadata__":{"a":1}}`, 0), ErrCorrupt, `expected texts under "__metadata__"`},
		{"negative shape", raw(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), ErrCorrupt, "expected a JSON header"},
		{"fraction", raw(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), ErrCorrupt, "expected a JSON header"},
		{"shape and place disagree", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), ErrCorrupt, `tensor "a": the file is damaged or no safetensors file: expected F32 [2] at the bytes 0 to 8, found 0 to 4`},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), ErrCorrupt, `tensor "b": the file is damaged or no safetensors file: expected U8 [2] at the bytes 2 to 4, found 1 to 3`},
		{"same place", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 4), ErrCorrupt, `tensor "b"`},
		{"gap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), ErrCorrupt, "bytes 0 to 2, found 1 to 3"},
		{"backwards", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}`, 2), ErrCorrupt, "bytes 0 to 2, found 2 to 0"},
		{"huge shape", raw(`{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,16]}}`, 16), ErrCorrupt, "a shape that fits"},
		{"overflowing shape", raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), ErrCorrupt, "a shape that fits"},
		{"shape beyond int", raw(`{"a":{"dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0]}}`, 0), ErrCorrupt, "a shape that fits"},
		{"more than the file", raw(`{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`, 16), ErrTruncated, "expected at least 4398046511104 bytes after the header, found 16"},
		{"trailing bytes", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 3), ErrCorrupt, "expected 2 bytes after the header, found 3"},
		{"wrong checksum", raw(`{"__metadata__":{"attractor.sha256":"00"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), ErrCorrupt, `expected SHA-256 "00", found `},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := decoded(c.file, false)
			if f != nil {
				t.Errorf("loaded %v", f)
			}
			mustFail(t, err, c.kind)
			if err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
}

// A shape or length that the file cannot hold is found before memory is taken.
func TestLyingHeaderAllocates(t *testing.T) {
	file := raw(`{"a":{"dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208]}}`, 16)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := decoded(file, false)
	runtime.ReadMemStats(&after)
	mustFail(t, err, ErrTruncated)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<16 {
		t.Errorf("%d bytes taken", n)
	}
}

func TestForeign(t *testing.T) {
	file := raw(` {"b":{"shape":[2,1],"dtype":"F32","data_offsets":[1,9]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`[1:]+"  ", 9)
	f, err := decoded(file, false)
	if err != nil {
		t.Fatal(err)
	}
	if b := f.Tensors["b"]; !reflect.DeepEqual(b, Of([]float32{0, 0}, 2, 1)) || len(f.Tensors) != 2 || len(f.Meta) != 0 {
		t.Errorf("loaded %+v", f)
	}
	_, err = decoded(file, true)
	mustFail(t, err, ErrMismatch)
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none"))
	mustFail(t, err, fs.ErrNotExist)
	_, err = Load(dir)
	mustFail(t, err, ErrMismatch)
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	mustFail(t, err, ErrTruncated)
	if want := "checkpoint: " + path + ": the file is cut off: expected at least 8 bytes, found 5 (" + again + ")"; err.Error() != want {
		t.Errorf("error\n%v, want\n%s", err, want)
	}
}

func TestSaveErrors(t *testing.T) {
	one := func(name string, x Tensor) File { return File{Tensors: map[string]Tensor{name: x}} }
	path := filepath.Join(t.TempDir(), "f")
	if err := Save(path, example()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		f    File
	}{
		{"shape", one("a", Of([]float32{1, 2}, 3))},
		{"negative shape", one("a", Of([]float32{1, 2}, -1, -2))},
		{"overflowing shape", one("a", Of([]float32{}, math.MaxInt, 4))},
		{"many dimensions", one("a", Tensor{Shape: filledInts(65), Data: []uint8{1}})},
		{"type", one("a", Tensor{Shape: []int{1}, Data: []int32{1}})},
		{"no data", one("a", Tensor{})},
		{"no name", one("", Of([]uint8{1}))},
		{"reserved name", one("__metadata__", Of([]uint8{1}))},
		{"name not in UTF-8", one("\xff", Of([]uint8{1}))},
		{"text not in UTF-8", File{Meta: map[string]string{"a": "\xff"}}},
		{"reserved text", File{Meta: map[string]string{"attractor.sha256": "x"}}},
		{"long text", File{Meta: map[string]string{"a": strings.Repeat("a", headerLimit)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustFail(t, Save(path, c.f), ErrInvalid)
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the old file changed (%v)", err)
			}
		})
	}
	mustFail(t, Save(filepath.Join(path, "below"), example()), fs.ErrNotExist, syscall.ENOTDIR)
}

func filledInts(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func TestAs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Save(path, example()); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := As[float64](f, "params/b", 2); err != nil || b[0] != math.Pi {
		t.Errorf("%v, %v", b, err)
	}
	if step, err := As[int64](f, "optim/step"); err != nil || step[0] != -1<<63 {
		t.Errorf("%v, %v", step, err)
	}
	for _, c := range []struct {
		err  func() error
		want string
	}{
		{func() error { _, err := As[float32](f, "params/b"); return err }, `tensor "params/b": the file holds something else: expected elements of type float32, found float64 (set the precision to that of the file)`},
		{func() error { _, err := As[float32](f, "params/W", 3, 2); return err }, `tensor "params/W": the file holds something else: expected shape [3 2], found [2 3] (load it into a model of the same size)`},
		{func() error { _, err := As[float32](f, "params/w"); return err }, `tensor "params/w": the file holds something else: expected a tensor of that name, found 5 others, among them "params/W" (load it into the model and optimiser that saved it)`},
	} {
		err := c.err()
		mustFail(t, err, ErrMismatch)
		if want := fmt.Sprintf("checkpoint: %s: %s", path, c.want); err.Error() != want {
			t.Errorf("error\n%v, want\n%s", err, want)
		}
	}
}

// Any bytes give a typed error, or contents that are saved and loaded again unchanged.
func FuzzDecode(f *testing.F) {
	whole := encoded(f, example())
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"I64","shape":[],"data_offsets":[16,24]}}`, 24))
	f.Add(raw(`{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{}`, 0))
	for _, dtype := range []string{"F16", "BF16", "BOOL", "I8", "I16", "U16", "I32", "U32", "U64", "F8_E4M3"} {
		f.Add(raw(`{"a":{"dtype":"`+dtype+`","shape":[0,2],"data_offsets":[0,0]},"b":{"dtype":"`+dtype+`","shape":[1],"data_offsets":[0,2]}}`, 2))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decode(bytes.NewReader(b), int64(len(b)), reading{wanted: func(name string) bool { return len(name)%2 == 0 }})
		got, err := decoded(b, false)
		if err != nil {
			if !errors.As(err, new(*Error)) || got != nil {
				t.Fatalf("%v with error %v", got, err)
			}
			return
		}
		views, err := prepare("f", *got)
		if errors.Is(err, ErrInvalid) { // a name that only others save
			return
		}
		var out bytes.Buffer
		if err := encode(&out, views, got.Meta); err != nil {
			t.Fatal(err)
		}
		again, err := decoded(out.Bytes(), true)
		if err != nil {
			t.Fatalf("saved again: %v", err)
		}
		// By their bytes: NaN is not equal to itself.
		if !bytes.Equal(encoded(t, *again), out.Bytes()) {
			t.Fatalf("saved again, %v is %v", got, again)
		}
	})
}

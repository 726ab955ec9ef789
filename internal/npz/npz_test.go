package npz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/numpy.npz was written by numpy 2.4:
//
//	a = numpy.arange(6).reshape(2, 3) / 4
//	numpy.savez("numpy.npz", f8=a, f4=a.astype("f4"), fortran=numpy.asfortranarray(a),
//	    cube=numpy.asfortranarray(numpy.arange(24.).reshape(2, 3, 4)),
//	    big=a.astype(">f8"), i8=numpy.array([-1, 2**40]), u1=numpy.array([255], "u1"),
//	    i2=numpy.array([-7], ">i2"), scalar=1.5, empty=numpy.zeros((0, 3)),
//	    flag=numpy.array([True]), z=numpy.array([1j]), text=numpy.array(["a"]), half=a.astype("f2"))
//
// and testdata/compressed.npz by numpy.savez_compressed(f8=a).
var quarters = []float64{0, 0.25, 0.5, 0.75, 1, 1.25}

func TestNumpy(t *testing.T) {
	f, err := Open("testdata/numpy.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cube := make([]float64, 24)
	for i := range cube {
		cube[i] = float64(i)
	}
	for name, want := range map[string]Array{
		"f8":      {Header{"<f8", []int{2, 3}, false}, quarters},
		"f4":      {Header{"<f4", []int{2, 3}, false}, quarters},
		"fortran": {Header{"<f8", []int{2, 3}, true}, quarters},
		"cube":    {Header{"<f8", []int{2, 3, 4}, true}, cube},
		"big":     {Header{">f8", []int{2, 3}, false}, quarters},
		"i8":      {Header{"<i8", []int{2}, false}, []float64{-1, 1 << 40}},
		"u1":      {Header{"|u1", []int{1}, false}, []float64{255}},
		"i2":      {Header{">i2", []int{1}, false}, []float64{-7}},
		"scalar":  {Header{"<f8", nil, false}, []float64{1.5}},
		"empty":   {Header{"<f8", []int{0, 3}, false}, []float64{}},
		"flag":    {Header{"|b1", []int{1}, false}, []float64{1}},
		"half":    {Header{"<f2", []int{2, 3}, false}, quarters},
	} {
		got, err := f.Read(name)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for name, want := range map[string]string{
		"z":    `array "z": expected elements that are floats, integers or booleans, such as float64, found complex ("<c16") (convert it with .astype(numpy.float64))`,
		"text": `found text ("<U1")`,
		"none": `array "none": expected an array of that name, found none`,
	} {
		_, err := f.Read(name)
		mustFail(t, err, want)
	}
	c, err := Open("testdata/compressed.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Read("f8"); err != nil || !cmp.Equal(got.Data, quarters) {
		t.Errorf("compressed: %v, %v", got, err)
	}
	if d := cmp.Diff([]string{"f8"}, c.Names()); d != "" {
		t.Error(d)
	}
}

func mustFail(t *testing.T, err error, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want an *Error with %q", err, want)
	}
}

// member is an array with that header.
func member(header string, data ...float64) []byte {
	b := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(header)+1))...)
	b = append(append(b, header...), '\n')
	for _, v := range data {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func dict(descr, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
}

func zipped(t testing.TB, members ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i].(string))
		if err == nil {
			_, err = w.Write(members[i+1].([]byte))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// everything reads all arrays of an archive.
func everything(data []byte) ([]Array, error) {
	f, err := newFile("f.npz", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var all []Array
	for _, name := range f.Names() {
		a, err := f.Read(name)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func TestDamaged(t *testing.T) {
	good := zipped(t, "W.npy", member(dict("<f8", "(2,)"), 1, 2))
	if a, err := everything(good); err != nil || !cmp.Equal(a[0].Data, []float64{1, 2}) {
		t.Fatal(a, err)
	}
	long := member("x")
	copy(long[6:], []byte{2, 0, 255, 255, 255, 255})
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "found an empty file"},
		{"text", []byte("hello, world"), `npz: f.npz: expected a zip archive as numpy.savez writes it, found a file that begins with "hello,"`},
		{"npy", member(dict("<f8", "(1,)"), 1), "found a single array (.npy) (save it with numpy.savez, each array by its name)"},
		{"cut", good[:len(good)-10], "found one that is cut off or damaged"},
		{"twice", zipped(t, "W.npy", member(dict("<f8", "()"), 1), "W", member(dict("<f8", "()"), 1)), `array "W": expected one array of that name, found two`},
		{"no array", zipped(t, "W.npy", []byte("hello, world, hello")), "expected the header of a numpy array"},
		{"short", zipped(t, "W.npy", []byte("\x93NUMPY")), "expected the header of a numpy array"},
		{"long header", zipped(t, "W.npy", long), "expected the header of a numpy array"},
		{"no newline", zipped(t, "W.npy", append([]byte("\x93NUMPY\x01\x00\x02\x00"), "{}"...)), "expected the header of a numpy array"},
		{"no keys", zipped(t, "W.npy", member("{}")), "expected the header of a numpy array"},
		{"negative shape", zipped(t, "W.npy", member(dict("<f8", "(-2,)"))), "expected a shape that fits the memory of a computer, found [-2]"},
		{"huge shape", zipped(t, "W.npy", member(dict("<f8", "(4611686018427387904, 4)"))), "expected a shape that fits"},
		{"too few", zipped(t, "W.npy", member(dict("<f8", "(3,)"), 1, 2)), "bytes for the shape [3] of <f8, found "},
		{"too many", zipped(t, "W.npy", member(dict("<f8", "(1,)"), 1, 2)), "bytes for the shape [1] of <f8, found "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := everything(c.file)
			mustFail(t, err, c.want)
		})
	}
	for i := range good { // a flipped bit is found or makes no difference
		for bit := range 8 {
			good[i] ^= 1 << bit
			if all, err := everything(good); err == nil && len(all) > 0 && !cmp.Equal(all[0].Data, []float64{1, 2}) {
				t.Errorf("bit %d of byte %d was flipped unseen: %v", bit, i, all)
			}
			good[i] ^= 1 << bit
		}
	}
}

// A size that the archive claims and does not hold takes no memory.
func TestLyingSize(t *testing.T) {
	const claimed = 1 << 36
	header := member(dict("<f8", fmt.Sprintf("(%d,)", claimed/8)))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "W.npy", UncompressedSize64: uint64(len(header)) + claimed, CompressedSize64: uint64(len(header))})
	if err == nil {
		_, err = w.Write(header)
	}
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = everything(b.Bytes())
	runtime.ReadMemStats(&after)
	mustFail(t, err, "which cannot hold them")
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<22 {
		t.Errorf("%d bytes taken", n)
	}
}

// What Python's zipfile refuses is refused, with the reason: the headers of a member that contradict each other, marks
// of what is not read, versions to come.
func TestMembers(t *testing.T) {
	good := zipped(t, "Wä.npy", member(dict("<f8", "(1,)"), 1))
	if _, err := everything(good); err != nil {
		t.Fatal(err)
	}
	directory := bytes.Index(good, []byte("PK\x01\x02"))
	for name, c := range map[string]struct {
		at   int
		to   byte
		want string
	}{
		"name":               {30, 'V', `found "Vä.npy"`},
		"shorter name":       {26, 6, "expected the name of the directory"},
		"longer name":        {26, 8, "expected the name of the directory"},
		"encoding":           {7, 0, "expected the name of the directory"},
		"name in directory":  {directory + 46, 'V', `found "Wä.npy"`},
		"version":            {directory + 6, 89, "6.3 of zip at most, found 8.9"},
		"version's system":   {directory + 7, 1, "6.3 of zip at most, found 27.6"},
		"encrypted":          {directory + 8, good[directory+8] | 1, "not encrypted"},
		"strongly encrypted": {directory + 8, good[directory+8] | 1<<6, "not encrypted"},
		"patched":            {directory + 8, good[directory+8] | 1<<5, "patched"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			b[c.at] = c.to
			_, err := everything(b)
			mustFail(t, err, c.want)
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "none.npz"))
	mustFail(t, err, "none.npz: no such file")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not wrap the cause", err)
	}
	_, err = Open(dir)
	mustFail(t, err, "expected a regular file, found a folder")
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"testdata/numpy.npz", "testdata/compressed.npz"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(zipped(f, "W.npy", member(dict("<f8", "(1,)"), 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if all, err := everything(data); err == nil {
			for _, a := range all {
				if len(a.Data) != a.Len() {
					t.Errorf("%d numbers for the shape %v", len(a.Data), a.Shape)
				}
			}
		}
	})
}

// FuzzHeader changes the array and zips it afterwards, as the sum of the archive would stop it otherwise.
func FuzzHeader(f *testing.F) {
	f.Add(member(dict("<f8", "(1,)"), 1))
	f.Add(member(dict(">i2", "()")))
	for _, c := range headers {
		f.Add(c.array())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := everything(zipped(t, "W.npy", data))
		if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("%v is no *Error", err)
		}
		for _, a := range all {
			if len(a.Data) != a.Len() || elements[a.code()].size == 0 {
				t.Errorf("%d numbers of type %s for the shape %v", len(a.Data), a.Type, a.Shape)
			}
		}
	})
}

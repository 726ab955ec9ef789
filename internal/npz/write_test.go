package npz

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is written is read back to the last bit, whatever its type and shape.
func TestWrite(t *testing.T) {
	arrays := []Named{
		{"x", []int{2, 1, 3}, []float64{1, -2.5, 1e-300, math.MaxFloat64, math.Copysign(0, -1), 7}},
		{"single", nil, []float64{math.Pi}},
		{"empty", []int{0, 4}, []float64{}},
		{"short", []int{2}, []float32{0.1, -3}},
		{"label", []int{3}, []int64{0, -1, 1 << 40}},
		{"small", []int{1, 2}, []int32{-7, 7}},
		{"byte", []int{2}, []uint8{0, 255}},
	}
	want := [][]float64{
		{1, -2.5, 1e-300, math.MaxFloat64, math.Copysign(0, -1), 7}, {math.Pi}, {}, {float64(float32(0.1)), -3},
		{0, -1, 1 << 40}, {-7, 7}, {0, 255},
	}
	var b, again bytes.Buffer
	if err := Write(&b, arrays...); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, arrays...); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("a second archive differs; %v", err)
	}
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, a := range arrays {
		got, err := f.Read(a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Shape, a.Shape) || len(got.Data) != len(want[i]) {
			t.Fatalf("%s: shape %v and %d numbers, want %v and %d", a.Name, got.Shape, len(got.Data), a.Shape, len(want[i]))
		}
		for k, v := range got.Data {
			if math.Float64bits(v) != math.Float64bits(want[i][k]) {
				t.Errorf("%s[%d]: %v, want %v", a.Name, k, v, want[i][k])
			}
		}
	}
	for _, bad := range []Named{{"n", []int{2}, []float64{1}}, {"s", nil, "text"}} {
		if err := Write(&again, bad); err == nil || !strings.Contains(err.Error(), `"`+bad.Name+`"`) {
			t.Errorf("%v: error %v", bad, err)
		}
	}
}

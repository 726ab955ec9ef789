package tasks

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
)

func idxOf(dims ...uint32) []byte {
	b := []byte{0, 0, idxBytes, byte(len(dims))}
	for _, d := range dims {
		b = append(b, byte(d>>24), byte(d>>16), byte(d>>8), byte(d))
	}
	return b
}

func packed(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parseIDX(data []byte, wanted ...int) (*idx, error) {
	s, err := newSource("f", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return readIDX(s, wanted...)
}

// A header that claims more than the file holds costs no memory.
func TestLyingIDX(t *testing.T) {
	for _, c := range []struct {
		dims []uint32
		want string
	}{
		{[]uint32{1 << 31}, "byte 8: expected 2147483648 more bytes of [2147483648] elements, found the end of the file"},
		{[]uint32{1 << 24, 28, 28}, "byte 16: expected 13153337344 more bytes"},
		{[]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32}, "byte 8: expected at most 1125899906842624 elements, found 4294967295 × 4294967295"},
	} {
		for _, data := range [][]byte{idxOf(c.dims...), packed(t, idxOf(c.dims...))} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parseIDX(data, make([]int, len(c.dims))...)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%v: %d bytes taken", c.dims, n)
			}
		}
	}
}

func FuzzIDX(f *testing.F) {
	f.Add(append(idxOf(3), 1, 2, 3), false)
	f.Add(packed(f, append(idxOf(3), 1, 2, 3)), false)
	f.Add(append(idxOf(2, 1, 2), 1, 2, 3, 4), true)
	f.Add(packed(f, append(idxOf(2, 1, 2), 1, 2, 3, 4)), true)
	f.Add(append(idxOf(3), 1, 2, 3, 4), false)
	f.Add(idxOf(math.MaxUint32, math.MaxUint32, math.MaxUint32), true)
	f.Fuzz(func(t *testing.T, data []byte, images bool) {
		wanted := []int{0}
		if images {
			wanted = []int{0, 1, 0}
		}
		a, err := parseIDX(data, wanted...)
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) || e.Offset < 0 || e.Expected == "" || e.Found == "" {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		var dims []uint32
		for _, d := range a.dims {
			dims = append(dims, uint32(d))
		}
		again := append(idxOf(dims...), a.data...)
		if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) && !bytes.Equal(again, data) {
			t.Fatalf("% x reads as % x", data, again)
		}
	})
}

func FuzzCIFAR10(f *testing.F) {
	two := make([]byte, 2*cifar10Record)
	two[cifar10Record] = 9
	f.Add(two, 2)
	f.Add(packed(f, two), 2)
	f.Add(two[:cifar10Record+1], 2)
	f.Add(two, 1<<30)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 1 || n > 1<<40 {
			t.Skip()
		}
		s, err := newSource("f", bytes.NewReader(data), int64(len(data)))
		var b []byte
		if err == nil {
			b, err = readCIFAR10(s, n)
		}
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) || e.Offset < 0 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		for i := range n {
			if b[i*cifar10Record] > 9 {
				t.Fatalf("label %d", b[i*cifar10Record])
			}
		}
	})
}

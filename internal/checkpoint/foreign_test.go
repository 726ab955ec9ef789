package checkpoint

import (
	"encoding/binary"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// foreign is a file of one tensor a of two elements, and of b, of a type that nobody knows.
func foreign(dtype, data string) []byte {
	n := strconv.Itoa(len(data))
	header := `{"a":{"dtype":"` + dtype + `","shape":[2],"data_offsets":[0,` + n + `]},"b":{"dtype":"F4_\u001b[31m","shape":[5],"data_offsets":[` + n + `,` + strconv.Itoa(len(data)+3) + `]}}`
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(append(b, header...), data...), "xyz"...)
}

func onlyA(name string) bool { return name == "a" }

func TestForeignTypes(t *testing.T) {
	for _, c := range []struct {
		dtype, data string
		want        any
	}{
		{"F64", "\x00\x00\x00\x00\x00\x00\xf4\x3f\x00\x00\x00\x00\x00\x00\xf4\xbf", []float64{1.25, -1.25}},
		{"F32", "\x00\x00\xa0\x3f\x00\x00\xa0\xbf", []float32{1.25, -1.25}},
		{"F16", "\x00\x3d\x01\x80", []float32{1.25, -0x1p-24}},
		{"BF16", "\xa0\x3f\x49\x40", []float32{1.25, 3.140625}},
		{"BOOL", "\x01\x00", []uint8{1, 0}},
		{"U8", "\x01\xff", []uint8{1, 255}},
		{"I8", "\x01\xff", []int64{1, -1}},
		{"I16", "\x00\x01\xff\xff", []int64{256, -1}},
		{"U16", "\x00\x01\xff\xff", []int64{256, 65535}},
		{"I32", "\x00\x01\x00\x00\xff\xff\xff\xff", []int64{256, -1}},
		{"U32", "\x00\x01\x00\x00\xff\xff\xff\xff", []int64{256, 1<<32 - 1}},
		{"I64", "\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", []int64{256, -1}},
		{"U64", "\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f", []int64{256, 1<<63 - 1}},
	} {
		file := foreign(c.dtype, c.data)
		f, err := decode(strings.NewReader(string(file)), int64(len(file)), reading{wanted: onlyA})
		if err != nil {
			t.Errorf("%s: %v", c.dtype, err)
			continue
		}
		want := map[string]Tensor{"a": {Shape: []int{2}, Data: c.want}, "b": {Shape: []int{5}}}
		if !reflect.DeepEqual(f.Tensors, want) {
			t.Errorf("%s: %v, want %v", c.dtype, f.Tensors, want)
		}
	}
	for _, c := range []struct {
		dtype, data string
		wanted      func(string) bool
		want        string
	}{
		{"U64", "\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", onlyA, `tensor "a": the file holds something else: expected integers below 2⁶³`},
		{"F32", "\x00\x00\xa0\x3f\x00\x00\xa0\xbf", nil, `tensor "b": the file holds something else: expected floats of 16 to 64 bits, integers or booleans, found "F4_\x1b[31m" (convert it before saving)`},
		{"F8_E5M2", "\x00\x00", onlyA, `tensor "a": the file holds something else: expected floats`},
	} {
		file := foreign(c.dtype, c.data)
		_, err := decode(strings.NewReader(string(file)), int64(len(file)), reading{wanted: c.wanted})
		mustFail(t, err, ErrMismatch)
		if err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error\n%v, want\n%s", c.dtype, err, c.want)
		}
	}
	// What is passed over must be there as well, and lie where it should.
	file := foreign("F32", "\x00\x00\xa0\x3f\x00\x00\xa0\xbf")
	_, err := decode(strings.NewReader(string(file[:len(file)-1])), int64(len(file)), reading{wanted: onlyA})
	mustFail(t, err, ErrTruncated)
	gap := strings.Replace(string(file), "data_offsets\":[8,11]", "data_offsets\":[9,11]", 1)
	_, err = decode(strings.NewReader(gap), int64(len(gap)), reading{wanted: onlyA})
	mustFail(t, err, ErrCorrupt)
}

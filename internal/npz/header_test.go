package npz

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// headerCase is an array of the numbers 1, 2, … and how numpy reads its header.
type headerCase struct {
	version byte
	text    string
	want    Header // of no type where numpy refuses it
}

// headers are those of which numpy.load 2.4 was asked. Its answer to 1,300 more, most of them made by
// chance of the same parts, is ours but for a prefix r of texts, which we refuse.
var headers = []headerCase{
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", Header{"<f8", []int{2}, false}},
	{2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", Header{"<f8", []int{2}, false}},
	{3, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", Header{"<f8", []int{2}, false}},
	{1, `{"shape":(2,1),"descr":"<f8","fortran_order":True}`, Header{"<f8", []int{2, 1}, true}},
	{1, "  {'descr': 'd',\n 'fortran_order': False, # rows\n 'shape': (2,) }\n\n", Header{"<f8", []int{2}, false}},
	{1, "({u'descr': u'<f8', u'fortran_order': False, u'shape': (2,)})", Header{"<f8", []int{2}, false}},
	{1, `{'descr': '<' '\x66' "8", 'fortran_order': False, 'shape': (2,)}`, Header{"<f8", []int{2}, false}},
	{1, "{'descr': 'f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", Header{"<f8", []int{2}, false}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 1 L), }", Header{"<f8", []int{2, 1}, false}},
	{3, "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0x1, 0b10, 1_0, 00, +2)}", Header{"<f8", []int{1, 2, 10, 0, 2}, false}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", Header{"<f8", nil, false}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': ((2),)}", Header{"<f8", []int{2}, false}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': [2]}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2.0,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (02,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': ('2',)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (" + strings.Repeat("1,", 65) + ")}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': " + strings.Repeat("(", 9000), Header{}},
	{1, "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': 'False', 'shape': (2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': false, 'shape': (2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'more': 1}", Header{}},
	{1, "{'descr': '<f8', 'shape': (2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)},", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)} x", Header{}},
	{1, "{'descr': '<f8' 'fortran_order': False, 'shape': (2,)}", Header{}},
	{1, "{b'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", Header{}},
	{1, "dict(descr='<f8', fortran_order=False, shape=(2,))", Header{}},
	{1, "{'descr': None, 'fortran_order': False, 'shape': (2,)}", Header{}},
	{1, "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}", Header{}},
	{1, "{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (2,)}", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}" + strings.Repeat(" ", 9000), Header{"<f8", []int{2}, false}},
	{2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}" + strings.Repeat(" ", 20000), Header{}},
	{0, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", Header{}},
	{4, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", Header{}},
	{3, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)} # \xff", Header{}},
	{1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)} # \xff", Header{"<f8", []int{2}, false}},
}

func (c headerCase) array() []byte {
	b := append([]byte(magic), c.version, 0)
	if c.version < 2 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(c.text)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c.text)))
	}
	b = append(b, c.text...)
	for i := range c.want.Len() {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(i+1)))
	}
	return b
}

func TestHeaders(t *testing.T) {
	for _, c := range headers {
		name := fmt.Sprintf("version %d: %.90q", c.version, c.text)
		all, err := everything(zipped(t, "W.npy", c.array()))
		switch {
		case c.want.Type == "" && err == nil:
			t.Errorf("%s: numpy refuses it, read as %v", name, all[0])
		case c.want.Type == "":
			mustFail(t, err, `npz: f.npz: array "W": expected `)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			want := Array{Header: c.want, Data: make([]float64, c.want.Len())}
			for i := range want.Data {
				want.Data[i] = float64(i + 1)
			}
			if d := cmp.Diff(want, all[0]); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

// Of each type the elements are numbers whose bytes are written out, and Type is numpy's dtype.str.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		descr, want string
		bytes       string
		value       float64
	}{
		{"<f8", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"=f8", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"|f8", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"f8", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"f08", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"f 8", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{"float", "<f8", "\x00\x00\x00\x00\x00\x00\xf4\x3f", 1.25},
		{">d", ">f8", "\x3f\xf4\x00\x00\x00\x00\x00\x00", 1.25},
		{"f", "<f4", "\x00\x00\xa0\x3f", 1.25},
		{">f4", ">f4", "\x3f\xa0\x00\x00", 1.25},
		{"e", "<f2", "\x00\x3d", 1.25},
		{">f2", ">f2", "\x3d\x00", 1.25},
		{"half", "<f2", "\x00\xbd", -1.25},
		{"?", "|b1", "\x01", 1},
		{"<b1", "|b1", "\x02", 1}, // true, as for numpy
		{"bool", "|b1", "\x00", 0},
		{">i1", "|i1", "\xff", -1},
		{"B", "|u1", "\xff", 255},
		{"h", "<i2", "\xfe\xff", -2},
		{"<H", "<u2", "\xfe\xff", 65534},
		{"i", "<i4", "\xfe\xff\xff\xff", -2},
		{">u4", ">u4", "\xff\xff\xff\xfe", 1<<32 - 2},
		{"l", "<i8", "\xfe\xff\xff\xff\xff\xff\xff\xff", -2},
		{"Q", "<u8", "\x00\x00\x00\x00\x00\x00\x00\x80", 1 << 63},
		{"int64", "<i8", "\x00\x00\x00\x00\x00\x00\x20\x00", 1 << 53},
	} {
		a := append(member(dict(c.descr, "(1,)")), c.bytes...)
		all, err := everything(zipped(t, "W.npy", a))
		if err != nil {
			t.Errorf("%s: %v", c.descr, err)
		} else if d := cmp.Diff(Array{Header{c.want, []int{1}, false}, []float64{c.value}}, all[0]); d != "" {
			t.Errorf("%s: %s", c.descr, d)
		}
	}
	for _, descr := range []string{"", "<", "!f8", "@f8", "<float64", "f8 ", "2f8", "f8,f8", "f3", "i0", "b2", "d8", "u", "F", "c8", "O", "S4", "<U3", "V8", "M8[s]", "f16", "g", "Float64"} {
		_, err := everything(zipped(t, "W.npy", append(member(dict(descr, "(1,)")), make([]byte, 8)...)))
		mustFail(t, err, "expected elements that are floats, integers or booleans")
	}
	for descr, bytes := range map[string]string{"<i8": "\x01\x00\x00\x00\x00\x00\x20\x00", "<u8": "\xff\xff\xff\xff\xff\xff\xff\xff", ">i8": "\x7f\xff\xff\xff\xff\xff\xff\xff"} {
		_, err := everything(zipped(t, "W.npy", append(member(dict(descr, "(1,)")), bytes...)))
		mustFail(t, err, "as element 0 an integer that a float64 holds")
	}
}

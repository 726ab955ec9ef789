package checkpoint

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"
)

// maxDimensions is numpy's.
const maxDimensions = 64

const again = "copy it again from where it came, or use an older checkpoint"

// Load reads a file that [Save] wrote. It does not panic, needs little more memory than
// the file is long, and its errors are of type *Error.
func Load(path string) (*File, error) { return load(path, true) }

// LoadForeign reads a file that another program wrote: it need not hold a checksum, but
// one that is there must be right.
func LoadForeign(path string) (*File, error) { return load(path, false) }

func load(path string, own bool) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Expected: "a regular file", Found: info.Mode().Type().String(), Hint: "give the file itself", Err: ErrMismatch}
	}
	out, err := decode(f, info.Size(), own)
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Path = path
		return nil, err
	}
	out.path = path
	return out, nil
}

// place is a tensor in the header.
type place struct {
	name string
	*safetensors.TensorInfo
}

// decode reads a file of that size; r may hold less. Its errors are of type *Error.
func decode(r io.Reader, size int64, own bool) (*File, error) {
	header, m, err := decodeHeader(r, size)
	if err != nil {
		return nil, err
	}
	places, err := checkPlaces(m, size-8-int64(len(header)))
	if err != nil {
		return nil, err
	}
	digest, signed := m.Metadata()[digestKey]
	if own && !signed {
		return nil, &Error{Expected: "a checksum among the texts", Found: "none",
			Hint: "was it written by another program? Only its weights can be read then", Err: ErrMismatch}
	}
	h := sha256.New()
	if signed {
		if err := hashHeader(h, m); err != nil {
			return nil, err
		}
		r = io.TeeReader(r, h)
	}
	out := &File{Tensors: make(map[string]Tensor, len(places)), Meta: m.Metadata()}
	if out.Meta == nil {
		out.Meta = map[string]string{}
	}
	for _, p := range places {
		t, err := readTensor(r, p)
		if err != nil {
			return nil, &Error{Tensor: p.name, Expected: fmt.Sprintf("%d bytes", p.DataOffsets[1]-p.DataOffsets[0]), Found: err.Error(), Hint: again, Err: ErrTruncated}
		}
		out.Tensors[p.name] = t
	}
	if got := hex.EncodeToString(h.Sum(nil)); signed && got != digest {
		return nil, &Error{Expected: fmt.Sprintf("SHA-256 %.64q", digest), Found: got, Hint: again, Err: ErrCorrupt}
	}
	return out, nil
}

func decodeHeader(r io.Reader, size int64) ([]byte, *safetensors.Metadata, error) {
	var length [8]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, nil, &Error{Expected: "at least 8 bytes", Found: fmt.Sprint(size), Hint: again, Err: ErrTruncated}
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > headerLimit || n < 2 {
		return nil, nil, &Error{Expected: fmt.Sprintf("a header of 2 to %d bytes", headerLimit), Found: fmt.Sprintf("a length of %d", n),
			Hint: "is it a safetensors file?", Err: ErrCorrupt}
	}
	if int64(n) > size-8 {
		return nil, nil, &Error{Expected: fmt.Sprintf("a header of %d bytes", n), Found: fmt.Sprintf("%d bytes after its length", size-8), Hint: again, Err: ErrTruncated}
	}
	header := make([]byte, n)
	if k, err := io.ReadFull(r, header); err != nil {
		return nil, nil, &Error{Expected: fmt.Sprintf("a header of %d bytes", n), Found: fmt.Sprintf("%d bytes", k), Hint: again, Err: ErrTruncated}
	}
	bad := func(err error) error {
		return &Error{Expected: "a JSON header", Found: fmt.Sprintf("%.200s", err.Error()), Hint: again, Err: ErrCorrupt}
	}
	if header[0] != '{' { // as the format demands; the library takes null too
		return nil, nil, bad(fmt.Errorf("%q at its start", header[0]))
	}
	if err := checkJSON(header); err != nil {
		return nil, nil, bad(err)
	}
	m := new(safetensors.Metadata)
	if err := json.Unmarshal(header, m); err != nil {
		return nil, nil, bad(err)
	}
	return header, m, nil
}

// checkJSON returns an error when an object of the JSON text has a key twice, of which
// the decoder would silently take the second, and when the text would take much more
// memory than it is long.
func checkJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type level struct {
		keys  map[string]bool // nil in an array
		value bool            // a value comes next
		items int             // of an array
	}
	var stack []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if key, ok := token.(string); ok && len(stack) > 0 {
			if top := &stack[len(stack)-1]; top.keys != nil && !top.value {
				if top.keys[key] {
					return fmt.Errorf("%q twice", key)
				}
				top.keys[key], top.value = true, true
				continue
			}
		}
		if len(stack) > 0 && stack[len(stack)-1].keys == nil && token != json.Delim(']') {
			if stack[len(stack)-1].items++; stack[len(stack)-1].items > maxDimensions {
				return fmt.Errorf("a list of more than %d numbers", maxDimensions)
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == 3 { // file, tensor, shape
				return errors.New("values nested more than 3 deep")
			}
			top := level{}
			if token == json.Delim('{') {
				top.keys = map[string]bool{}
			}
			stack = append(stack, top)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > 0 {
			stack[len(stack)-1].value = false
		}
	}
}

// checkPlaces returns the tensors in the order of their data, which must fill the rest
// of the file without gap or overlap.
func checkPlaces(m *safetensors.Metadata, rest int64) ([]place, error) {
	var places []place
	for name, info := range m.Tensors() {
		places = append(places, place{name, info})
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.DataOffsets[0], b.DataOffsets[0]), cmp.Compare(a.DataOffsets[1], b.DataOffsets[1]), strings.Compare(a.name, b.name))
	})
	end := uint64(0)
	for _, p := range places {
		if _, err := newData(p.DType, 0); err != nil {
			return nil, &Error{Tensor: p.name, Expected: "elements F32, F64, I64 or U8", Found: p.DType.String(), Hint: "convert it before saving", Err: ErrMismatch}
		}
		n, ok := elements(p.Shape, p.DType.Size())
		if !ok {
			return nil, &Error{Tensor: p.name, Expected: "a shape that fits the memory of a computer", Found: fmt.Sprint(p.Shape), Hint: again, Err: ErrCorrupt}
		}
		want := [2]uint64{end, end + uint64(n)*p.DType.Size()}
		if p.DataOffsets != want {
			return nil, &Error{Tensor: p.name, Expected: fmt.Sprintf("%s %v at the bytes %d to %d", p.DType, p.Shape, want[0], want[1]),
				Found: fmt.Sprintf("%d to %d", p.DataOffsets[0], p.DataOffsets[1]), Hint: again, Err: ErrCorrupt}
		}
		end = want[1]
		if end > uint64(rest) {
			return nil, &Error{Tensor: p.name, Expected: fmt.Sprintf("at least %d bytes after the header", end), Found: fmt.Sprint(rest), Hint: again, Err: ErrTruncated}
		}
	}
	if end != uint64(rest) {
		return nil, &Error{Expected: fmt.Sprintf("%d bytes after the header", end), Found: fmt.Sprint(rest), Hint: again, Err: ErrCorrupt}
	}
	return places, nil
}

// hashHeader writes the length and the header of the file without its checksum, as Save
// does, and takes the checksum out of m.
func hashHeader(h io.Writer, m *safetensors.Metadata) error {
	delete(m.Metadata(), digestKey)
	header, err := json.Marshal(m)
	if err != nil {
		return &Error{Expected: "a JSON header", Found: err.Error(), Hint: again, Err: ErrCorrupt}
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	_ = binary.Write(h, binary.LittleEndian, uint64(len(header))) // a hash takes everything
	_, _ = h.Write(header)
	return nil
}

// newData makes the slice of n elements of a type.
func newData(dtype safetensors.DType, n int) (any, error) {
	switch dtype {
	case safetensors.F32:
		return make([]float32, n), nil
	case safetensors.F64:
		return make([]float64, n), nil
	case safetensors.I64:
		return make([]int64, n), nil
	case safetensors.U8:
		return make([]uint8, n), nil
	}
	return nil, fmt.Errorf("unsupported type %s", dtype)
}

func readTensor(r io.Reader, p place) (Tensor, error) {
	n, _ := elements(p.Shape, p.DType.Size())
	data, err := newData(p.DType, n)
	if err != nil {
		return Tensor{}, err
	}
	shape := make([]int, len(p.Shape))
	for i, s := range p.Shape {
		shape[i] = int(s)
	}
	return Tensor{Shape: shape, Data: data}, fill(r, data)
}

// fill reads little-endian numbers through a buffer.
func fill(r io.Reader, data any) error {
	switch d := data.(type) {
	case []uint8:
		_, err := io.ReadFull(r, d)
		return err
	case []float32:
		return each(r, len(d), 4, func(i int, b []byte) { d[i] = math.Float32frombits(binary.LittleEndian.Uint32(b)) })
	case []float64:
		return each(r, len(d), 8, func(i int, b []byte) { d[i] = math.Float64frombits(binary.LittleEndian.Uint64(b)) })
	case []int64:
		return each(r, len(d), 8, func(i int, b []byte) { d[i] = int64(binary.LittleEndian.Uint64(b)) })
	}
	return nil
}

func each(r io.Reader, n, size int, set func(i int, b []byte)) error {
	buf := make([]byte, min(n*size, 1<<16))
	for i := 0; i < n; {
		chunk := buf[:min(len(buf), (n-i)*size)]
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		for ; len(chunk) > 0; chunk = chunk[size:] {
			set(i, chunk)
			i++
		}
	}
	return nil
}

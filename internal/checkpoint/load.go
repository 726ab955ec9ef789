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
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"attractor/internal/halfprec"
	"attractor/internal/quote"
	"attractor/internal/regular"
)

// maxDimensions is numpy's.
const maxDimensions = 64

const again = "copy it again from where it came, or use an older checkpoint"

// Load reads a file that [Save] wrote. It does not panic, needs little more memory than
// the file is long, and its errors are of type *Error.
func Load(path string) (*File, error) { return load(path, reading{own: true}) }

// LoadForeign reads a file that another program wrote: it need not hold a checksum, but
// one that is there must be right. Only the tensors that are wanted are read, all if wanted is nil;
// of the others, which may be of any type, Data is nil. Floats of 16 bits become float32, integers
// int64, booleans uint8.
func LoadForeign(path string, wanted func(name string) bool) (*File, error) {
	return load(path, reading{wanted: wanted})
}

// reading says what is read of a file.
type reading struct {
	own    bool // it is one that Save wrote
	wanted func(name string) bool
}

func load(path string, how reading) (*File, error) {
	f, err := regular.Open(path)
	if errors.Is(err, regular.ErrNot) {
		return nil, &Error{Path: path, Hint: "give the file itself: " + err.Error(), Err: ErrMismatch}
	}
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	out, err := decode(f, info.Size(), how)
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Path = path
		return nil, err
	}
	out.path = path
	return out, nil
}

// place is a tensor in the header.
type place struct {
	name    string
	dtype   string
	shape   []uint64
	offsets [2]uint64
}

// header is what a file says of itself.
type header struct {
	text   []byte
	meta   map[string]string
	places []place
}

// decode reads a file of that size; r may hold less. Its errors are of type *Error.
func decode(r io.Reader, size int64, how reading) (*File, error) {
	head, err := decodeHeader(r, size)
	if err != nil {
		return nil, err
	}
	if err := checkPlaces(head.places, size-8-int64(len(head.text)), how); err != nil {
		return nil, err
	}
	digest, signed := head.meta[digestKey]
	if how.own && !signed {
		return nil, &Error{Expected: "a checksum among the texts", Found: "none",
			Hint: "was it written by another program? Only its weights can be read then", Err: ErrMismatch}
	}
	h := sha256.New()
	if signed {
		if err := hashHeader(h, head.text); err != nil {
			return nil, err
		}
		delete(head.meta, digestKey)
		r = io.TeeReader(r, h)
	}
	out := &File{Tensors: make(map[string]Tensor, len(head.places)), Meta: head.meta}
	for _, p := range head.places {
		t, err := readTensor(r, p, how)
		switch {
		case errors.Is(err, errTooLarge):
			return nil, &Error{Tensor: p.name, Expected: "integers below 2⁶³", Found: "a larger one", Hint: "convert it before saving", Err: ErrMismatch}
		case err != nil:
			return nil, &Error{Tensor: p.name, Expected: fmt.Sprintf("%d bytes", p.offsets[1]-p.offsets[0]), Found: err.Error(), Hint: again, Err: ErrTruncated}
		}
		out.Tensors[p.name] = t
	}
	if got := hex.EncodeToString(h.Sum(nil)); signed && got != digest {
		return nil, &Error{Expected: fmt.Sprintf("SHA-256 %.64q", digest), Found: got, Hint: again, Err: ErrCorrupt}
	}
	return out, nil
}

func decodeHeader(r io.Reader, size int64) (*header, error) {
	var length [8]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, &Error{Expected: "at least 8 bytes", Found: fmt.Sprint(size), Hint: again, Err: ErrTruncated}
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > headerLimit || n < 2 {
		return nil, &Error{Expected: fmt.Sprintf("a header of 2 to %d bytes", headerLimit), Found: fmt.Sprintf("a length of %d", n),
			Hint: "is it a safetensors file?", Err: ErrCorrupt}
	}
	if int64(n) > size-8 {
		return nil, &Error{Expected: fmt.Sprintf("a header of %d bytes", n), Found: fmt.Sprintf("%d bytes after its length", size-8), Hint: again, Err: ErrTruncated}
	}
	text := make([]byte, n)
	if k, err := io.ReadFull(r, text); err != nil {
		return nil, &Error{Expected: fmt.Sprintf("a header of %d bytes", n), Found: fmt.Sprintf("%d bytes", k), Hint: again, Err: ErrTruncated}
	}
	bad := func(err error) error {
		return &Error{Expected: "a JSON header", Found: fmt.Sprintf("%.200s", err.Error()), Hint: again, Err: ErrCorrupt}
	}
	if text[0] != '{' { // as the format demands; null is no header
		return nil, bad(fmt.Errorf("%q at its start", text[0]))
	}
	if err := checkJSON(text); err != nil {
		return nil, bad(err)
	}
	h := &header{text: text, meta: map[string]string{}}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, bad(err)
	}
	for name, entry := range entries {
		if name == metaKey {
			if err := json.Unmarshal(entry, &h.meta); err != nil || h.meta == nil {
				return nil, bad(fmt.Errorf("expected texts under %q: %v", metaKey, err))
			}
			continue
		}
		var info struct {
			DType   *string   `json:"dtype"`
			Shape   *[]uint64 `json:"shape"`
			Offsets *[]uint64 `json:"data_offsets"`
		}
		d := json.NewDecoder(bytes.NewReader(entry))
		d.DisallowUnknownFields()
		if err := d.Decode(&info); err != nil {
			return nil, bad(fmt.Errorf("tensor %s: %w", quote.Name(name), err))
		}
		if info.DType == nil || info.Shape == nil || info.Offsets == nil || len(*info.Offsets) != 2 {
			return nil, bad(fmt.Errorf("tensor %s: expected dtype, shape and data_offsets, of which there are two", quote.Name(name)))
		}
		h.places = append(h.places, place{name, *info.DType, *info.Shape, [2]uint64(*info.Offsets)})
	}
	return h, nil
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

// checkPlaces brings the tensors into the order of their data, which must fill the rest
// of the file without gap or overlap.
func checkPlaces(places []place, rest int64, how reading) error {
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.offsets[0], b.offsets[0]), cmp.Compare(a.offsets[1], b.offsets[1]), strings.Compare(a.name, b.name))
	})
	end := uint64(0)
	for _, p := range places {
		e, known := types[p.dtype]
		if how.reads(p.name) && (!known || how.own && !e.own) {
			expected := "elements F32, F64, I64 or U8"
			if !how.own {
				expected = "floats of 16 to 64 bits, integers or booleans"
			}
			return &Error{Tensor: p.name, Expected: expected, Found: quote.Name(p.dtype), Hint: "convert it before saving", Err: ErrMismatch}
		}
		want := [2]uint64{end, p.offsets[1]} // of a type that is not known, whatever its size
		if known {
			n, ok := elements(p.shape, e.size)
			if !ok {
				return &Error{Tensor: p.name, Expected: "a shape that fits the memory of a computer", Found: fmt.Sprint(p.shape), Hint: again, Err: ErrCorrupt}
			}
			want[1] = end + uint64(n)*e.size
		}
		if p.offsets != want || want[1] < end {
			return &Error{Tensor: p.name, Expected: fmt.Sprintf("%.10s %v at the bytes %d to %d", p.dtype, p.shape, want[0], max(want[0], want[1])),
				Found: fmt.Sprintf("%d to %d", p.offsets[0], p.offsets[1]), Hint: again, Err: ErrCorrupt}
		}
		end = want[1]
		if end > uint64(rest) {
			return &Error{Tensor: p.name, Expected: fmt.Sprintf("at least %d bytes after the header", end), Found: fmt.Sprint(rest), Hint: again, Err: ErrTruncated}
		}
	}
	if end != uint64(rest) {
		return &Error{Expected: fmt.Sprintf("%d bytes after the header", end), Found: fmt.Sprint(rest), Hint: again, Err: ErrCorrupt}
	}
	return nil
}

// reads reports whether a tensor is to be read.
func (how reading) reads(name string) bool { return how.wanted == nil || how.wanted(name) }

// hashHeader writes the length and the header of the file without its checksum, as Save
// does.
func hashHeader(h io.Writer, text []byte) error {
	bad := func(err error) error {
		return &Error{Expected: "a JSON header", Found: fmt.Sprintf("%.200s", err.Error()), Hint: again, Err: ErrCorrupt}
	}
	m := new(safetensors.Metadata)
	if err := json.Unmarshal(text, m); err != nil {
		return bad(err)
	}
	delete(m.Metadata(), digestKey)
	header, err := json.Marshal(m)
	if err != nil {
		return bad(err)
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	_ = binary.Write(h, binary.LittleEndian, uint64(len(header))) // a hash takes everything
	_, _ = h.Write(header)
	return nil
}

// element is a type of elements.
type element struct {
	size uint64
	own  bool // Save writes it
	read func(r io.Reader, n int) (any, error)
}

// types are the types that are read, by their names in the header.
var types = map[string]element{
	"F64": {8, true, list(8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) })},
	"F32": {4, true, list(4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) })},
	"I64": {8, true, list(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })},
	"U8": {1, true, func(r io.Reader, n int) (any, error) {
		d := make([]uint8, n)
		_, err := io.ReadFull(r, d)
		return d, err
	}},
	"F16":  {2, false, list(2, func(b []byte) float32 { return float32(halfprec.F16(binary.LittleEndian.Uint16(b))) })},
	"BF16": {2, false, list(2, func(b []byte) float32 { return float32(halfprec.BF16(binary.LittleEndian.Uint16(b))) })},
	"BOOL": {1, false, list(1, func(b []byte) uint8 { return min(b[0], 1) })},
	"I8":   {1, false, list(1, func(b []byte) int64 { return int64(int8(b[0])) })},
	"I16":  {2, false, list(2, func(b []byte) int64 { return int64(int16(binary.LittleEndian.Uint16(b))) })},
	"U16":  {2, false, list(2, func(b []byte) int64 { return int64(binary.LittleEndian.Uint16(b)) })},
	"I32":  {4, false, list(4, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) })},
	"U32":  {4, false, list(4, func(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) })},
	"U64": {8, false, func(r io.Reader, n int) (any, error) {
		d, err := list(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })(r, n)
		if v := d.([]int64); err == nil && len(v) > 0 && slices.Min(v) < 0 {
			err = errTooLarge
		}
		return d, err
	}},
}

var errTooLarge = errors.New("an integer of 2⁶³ or more")

// list reads little-endian numbers of that many bytes through a buffer.
func list[E Element](size int, value func(b []byte) E) func(r io.Reader, n int) (any, error) {
	return func(r io.Reader, n int) (any, error) {
		d := make([]E, n)
		buf := make([]byte, min(n*size, 1<<16))
		for i := 0; i < n; {
			chunk := buf[:min(len(buf), (n-i)*size)]
			if _, err := io.ReadFull(r, chunk); err != nil {
				return d, err
			}
			for ; len(chunk) > 0; chunk = chunk[size:] {
				d[i] = value(chunk)
				i++
			}
		}
		return d, nil
	}
}

// readTensor reads a tensor, or passes it over.
func readTensor(r io.Reader, p place, how reading) (Tensor, error) {
	t := Tensor{Shape: make([]int, len(p.shape))}
	for i, s := range p.shape {
		t.Shape[i] = int(s)
	}
	var err error
	if !how.reads(p.name) {
		_, err = io.CopyN(io.Discard, r, int64(p.offsets[1]-p.offsets[0]))
		return t, err
	}
	e := types[p.dtype]
	n, _ := elements(p.shape, e.size)
	t.Data, err = e.read(r, n)
	return t, err
}

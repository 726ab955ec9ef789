package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/nlpodyssey/safetensors"

	"attractor/internal/atomicfile"
)

const (
	digestKey = "attractor.sha256"
	// headerLimit bounds the header, a hundred bytes or so per tensor, because decoding
	// JSON takes many times its size.
	headerLimit = 4 << 20
	metaKey     = "__metadata__" // of the format, where a tensor's name would stand
)

// Save writes f to a file, by [atomicfile.Write]: a kill at any moment leaves the old
// file or the new one. The same f gives the same bytes. Contents that cannot be saved
// are an *Error that wraps [ErrInvalid].
func Save(path string, f File) error {
	views, err := prepare(path, f)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, func(w io.Writer) error { return encode(w, views, f.Meta) }); err != nil {
		return &Error{Path: path, Hint: "is the directory there, writable and not full?", Err: err}
	}
	return nil
}

// encode writes the file, with the SHA-256 of the file without it.
func encode(w io.Writer, views map[string]view, meta map[string]string) error {
	h := sha256.New()
	if err := safetensors.SerializeToWriter(views, meta, h); err != nil {
		return err
	}
	signed := maps.Clone(meta)
	if signed == nil {
		signed = map[string]string{}
	}
	signed[digestKey] = hex.EncodeToString(h.Sum(nil))
	return safetensors.SerializeToWriter(views, signed, w)
}

// prepare checks what the format demands and what Load will.
func prepare(path string, f File) (map[string]view, error) {
	invalid := func(tensor, expected, found string) error {
		return &Error{Path: path, Tensor: tensor, Expected: expected, Found: found, Err: ErrInvalid}
	}
	size := 0 // of the header, from above: JSON writes a byte in 6 at most
	for _, k := range slices.Sorted(maps.Keys(f.Meta)) {
		switch {
		case k == digestKey:
			return nil, invalid("", "a text by another name than that of the checksum", fmt.Sprintf("%q", k))
		case !utf8.ValidString(k) || !utf8.ValidString(f.Meta[k]):
			return nil, invalid("", "texts in UTF-8", fmt.Sprintf("%q: %.40q", k, f.Meta[k]))
		}
		size += 6*(len(k)+len(f.Meta[k])) + 8
	}
	views := make(map[string]view, len(f.Tensors))
	for _, name := range slices.Sorted(maps.Keys(f.Tensors)) {
		t := f.Tensors[name]
		if name == "" || name == metaKey || !utf8.ValidString(name) {
			return nil, invalid(name, "a name in UTF-8, not empty and not "+metaKey, fmt.Sprintf("%q", name))
		}
		v := view{data: t.Data, shape: make([]uint64, len(t.Shape))}
		var n int
		switch d := t.Data.(type) {
		case []float32:
			v.dtype, n = safetensors.F32, len(d)
		case []float64:
			v.dtype, n = safetensors.F64, len(d)
		case []int64:
			v.dtype, n = safetensors.I64, len(d)
		case []uint8:
			v.dtype, n = safetensors.U8, len(d)
		default:
			return nil, invalid(name, "a slice of float32, float64, int64 or uint8", fmt.Sprintf("%T", t.Data))
		}
		if len(t.Shape) > maxDimensions {
			return nil, invalid(name, fmt.Sprintf("at most %d dimensions", maxDimensions), fmt.Sprint(len(t.Shape)))
		}
		for i, s := range t.Shape {
			v.shape[i] = uint64(s)
		}
		want, ok := elements(v.shape, 1)
		if !ok || want != n {
			return nil, invalid(name, fmt.Sprintf("numbers for the shape %v", t.Shape), fmt.Sprint(n))
		}
		v.bytes = uint64(n) * v.dtype.Size()
		views[name] = v
		size += 6*len(name) + 22*len(t.Shape) + 100
	}
	if size > headerLimit {
		return nil, invalid("", fmt.Sprintf("names and texts of less than %d bytes", headerLimit/6), fmt.Sprintf("up to %d in the header", size))
	}
	return views, nil
}

// elements is the number of elements of a shape, if with that many bytes each and with
// any zero left out it fits an int.
func elements(shape []uint64, size uint64) (n int, ok bool) {
	product, empty := size, false
	for _, s := range shape {
		switch {
		case s > math.MaxInt:
			return 0, false
		case s == 0:
			empty = true
		case product > math.MaxInt/s:
			return 0, false
		default:
			product *= s
		}
	}
	if empty {
		return 0, true
	}
	return int(product / size), true
}

// view shows a tensor to the library.
type view struct {
	dtype safetensors.DType
	shape []uint64
	data  any
	bytes uint64
}

func (v view) DType() safetensors.DType { return v.dtype }
func (v view) Shape() []uint64          { return v.shape }
func (v view) DataLen() uint64          { return v.bytes }

// Data shows the numbers as bytes, without a copy where the machine has them in the order of the file.
func (v view) Data() []byte {
	switch d := v.data.(type) {
	case []float32:
		return littleEndian(d)
	case []float64:
		return littleEndian(d)
	case []int64:
		return littleEndian(d)
	}
	return v.data.([]uint8)
}

func littleEndian[E Element](data []E) []byte {
	if len(data) == 0 {
		return nil
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), len(data)*int(unsafe.Sizeof(data[0])))
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	out, err := binary.Append(out, binary.LittleEndian, data)
	if err != nil {
		panic(err) // the types have fixed sizes
	}
	return out
}

// Package checkpoint saves and loads named tensors and text as safetensors files, which
// numpy, PyTorch and JAX read too (https://github.com/huggingface/safetensors).
//
// A file is the length n of the header in 8 bytes, a JSON header of n bytes with the
// type, shape and place of each tensor and a map of texts, and the tensors' bytes, all
// little-endian, without gaps. A file saved here also holds, among its texts under
// "attractor.sha256", the SHA-256 of the file that it would be without that entry: a flipped bit
// in a number, a name or a text is found on loading.
//
// github.com/nlpodyssey/safetensors encodes and decodes the header. What it leaves open
// is checked here before anything is allocated: repeated names, sizes against the real
// size of the file, shapes that fit an int; and errors say where, what was expected and
// what to do.
package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"attractor/internal/catalog"
	"attractor/internal/quote"
)

// File is what a checkpoint holds.
type File struct {
	Tensors map[string]Tensor // by name, such as "params/W" and "optim/m/W"
	Meta    map[string]string // such as "step" and the configuration; "attractor.sha256" is reserved

	path string // where it was loaded from
}

// Element is a type of number that a checkpoint holds.
type Element interface {
	float32 | float64 | int64 | uint8
}

// Tensor is an array of numbers; its rows lie one after the other. Make it with [Of].
type Tensor struct {
	Shape []int // no dimensions for a single number
	Data  any   // []float32, []float64, []int64 or []uint8; nil of a foreign tensor that was not wanted
}

// Of makes a tensor of that data, which it does not copy. Without a shape it is a
// vector. A shape that does not fit the data is an error of [Save].
func Of[E Element](data []E, shape ...int) Tensor {
	if shape == nil {
		shape = []int{len(data)}
	}
	return Tensor{Shape: slices.Clone(shape), Data: data}
}

// As returns the data of a tensor of f that must have that type and, if one is given,
// that shape. Its errors are of type *Error and wrap [ErrMismatch].
func As[E Element](f *File, name string, shape ...int) ([]E, error) {
	t, ok := f.Tensors[name]
	if !ok {
		names := slices.Sorted(maps.Keys(f.Tensors))
		e := &Error{Path: f.path, Tensor: name, Expected: "a tensor of that name", Found: fmt.Sprintf("%d others", len(names)), Err: ErrMismatch}
		if near := catalog.Nearest(name, names); near != "" {
			e.Found += fmt.Sprintf(", among them %s", quote.Name(near))
		}
		e.Hint = "load it into the model and optimiser that saved it"
		return nil, e
	}
	data, ok := t.Data.([]E)
	if !ok {
		return nil, &Error{Path: f.path, Tensor: name, Expected: fmt.Sprintf("elements of type %T", *new(E)), Found: elementType(t.Data),
			Hint: "set the precision to that of the file", Err: ErrMismatch}
	}
	if shape != nil && !slices.Equal(shape, t.Shape) {
		return nil, &Error{Path: f.path, Tensor: name, Expected: fmt.Sprintf("shape %v", shape), Found: fmt.Sprint(t.Shape),
			Hint: "load it into a model of the same size", Err: ErrMismatch}
	}
	return data, nil
}

func elementType(data any) string { return strings.TrimPrefix(fmt.Sprintf("%T", data), "[]") }

// What is wrong with a file; an *Error wraps one of them or an error of the file system.
var (
	ErrTruncated = errors.New("the file is cut off")
	ErrCorrupt   = errors.New("the file is damaged or no safetensors file")
	ErrMismatch  = errors.New("the file holds something else")
	ErrInvalid   = errors.New("this cannot be saved")
)

// Error says which file, or tensor in it, cannot be used, why, and what to do.
type Error struct {
	Path            string // empty for contents that do not come from a file
	Tensor          string // empty when the error is not about one tensor
	Expected, Found string
	Hint            string // what to do
	Err             error  // ErrTruncated, ErrCorrupt, ErrMismatch, ErrInvalid or one of the file system
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("checkpoint: ")
	if e.Path != "" {
		b.WriteString(quote.Path(e.Path) + ": ")
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, "tensor %s: ", quote.Name(e.Tensor))
	}
	b.WriteString(e.Err.Error())
	if e.Expected != "" {
		fmt.Fprintf(&b, ": expected %s, found %s", e.Expected, e.Found)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

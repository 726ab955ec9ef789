package options

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Zeros names, by their keys and separated by spaces, the numbers of a part that are meant to be zero although zero
// stands for another default. A part that embeds it has options that can be zero:
//
//	type Adam struct {
//		Zeros
//		Beta1 float64 `default:"0.9" doc:"decay of the mean gradient"`
//	}
//
// Adam{} has β₁ = 0.9, Adam{Zeros: "beta1"} has β₁ = 0, and so has what a configuration or [Field.Set] sets to 0.
type Zeros string

var zerosType = reflect.TypeFor[Zeros]()

// zerosOf returns the index of the Zeros that the field at index of the struct t is under: that of the innermost
// struct that embeds one. It returns nil if there is none.
func zerosOf(t reflect.Type, index []int) []int {
	var found []int
	for depth := range index {
		in := t
		if depth > 0 {
			in = t.FieldByIndex(index[:depth]).Type
		}
		for i := range in.NumField() {
			if f := in.Field(i); f.Anonymous && f.Type == zerosType {
				found = append(slices.Clone(index[:depth]), i)
			}
		}
	}
	return found
}

// mean records in the Zeros of s whether the number at index is meant to be zero.
func mean(s reflect.Value, index []int, key string, zero bool) {
	at := zerosOf(s.Type(), index)
	keys := slices.DeleteFunc(strings.Fields(s.FieldByIndex(at).String()), func(k string) bool { return k == key })
	if zero {
		keys = append(keys, key)
	}
	slices.Sort(keys) // equal parts are equal values
	s.FieldByIndex(at).SetString(strings.Join(keys, " "))
}

// told is what the Zeros of a struct name: for each key that is not yet found, the index of the Zeros.
type told map[string][][]int

// zerosIn returns what the Zeros of s name, nil if nothing.
func zerosIn(s reflect.Value) told {
	var t told
	var visit func(at []int, in reflect.Type)
	visit = func(at []int, in reflect.Type) {
		for i := range in.NumField() {
			f, index := in.Field(i), append(slices.Clone(at), i)
			switch {
			case f.Anonymous && f.Type == zerosType:
				for _, key := range strings.Fields(s.FieldByIndex(index).String()) {
					if t == nil {
						t = told{}
					}
					t[key] = append(t[key], index)
				}
			case inlined(f):
				visit(index, f.Type)
			}
		}
	}
	visit(nil, s.Type())
	return t
}

// names reports whether the number that a field holds is named, and takes the name off.
func (t told) names(s reflect.Value, sf reflect.StructField, index []int) bool {
	if len(t) == 0 {
		return false
	}
	key := keyOf(sf)
	if k, list, _ := kindOf(sf.Type); len(t[key]) == 0 || !(Field{kind: k, List: list}).countable() {
		return false
	}
	under := zerosOf(s.Type(), index)
	i := slices.IndexFunc(t[key], func(at []int) bool { return slices.Equal(at, under) })
	if i < 0 {
		return false
	}
	if t[key] = slices.Delete(t[key], i, i+1); len(t[key]) == 0 {
		delete(t, key)
	}
	return true
}

// check panics where a name has not been found.
func (t told) check(in reflect.Type) {
	for key := range t {
		panic(fmt.Sprintf("options: %s: Zeros names %q, which is no number with a default here", in, key))
	}
}

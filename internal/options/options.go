// Package options gives the options of a part (a solver, a model, a rule, …) their
// defaults: a part is a struct, an option is an exported field, and zero means the
// default that the field's tag states.
//
//	type Anderson struct {
//		Window int `default:"6" doc:"number of past iterates m"`
//	}
package options

import (
	"fmt"
	"reflect"
	"strconv"
)

// WithDefaults returns v with every zero field replaced by the value of its
// `default` tag. Fields are bool, integers, floats, strings or slices of strings
// (whose tag is one element). It panics on a tag that does not fit its field, which is
// a programmer's mistake.
func WithDefaults[T any](v T) T {
	rv := reflect.ValueOf(&v).Elem()
	if rv.Kind() == reflect.Interface { // T is an interface holding a struct
		c := reflect.New(rv.Elem().Type()).Elem()
		c.Set(rv.Elem())
		fill(c)
		rv.Set(c)
		return v
	}
	fill(rv)
	return v
}

func fill(s reflect.Value) {
	if s.Kind() != reflect.Struct {
		return
	}
	t := s.Type()
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("default")
		f := s.Field(i)
		if !ok || !f.IsZero() {
			continue
		}
		if err := setText(f, tag); err != nil {
			panic(fmt.Sprintf("options: %s.%s: default %q: %v", t, t.Field(i).Name, tag, err))
		}
	}
}

func setText(f reflect.Value, text string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return err
		}
		f.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, f.Type().Bits())
		if err != nil {
			return err
		}
		f.SetInt(n)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, f.Type().Bits())
		if err != nil {
			return err
		}
		f.SetUint(n)
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, f.Type().Bits())
		if err != nil {
			return err
		}
		f.SetFloat(x)
	case reflect.Slice:
		if f.Type().Elem().Kind() != reflect.String {
			return fmt.Errorf("no default can be given for a %s", f.Type())
		}
		f.Set(reflect.ValueOf([]string{text}).Convert(f.Type()))
	default:
		return fmt.Errorf("no default can be given for a %s", f.Type())
	}
	return nil
}

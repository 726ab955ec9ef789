package models

import (
	"reflect"
	"strconv"

	"attractor/train/kit"
)

// WithUnits returns the model with so many units, if it has the option units and takes that number.
func WithUnits(m Model, units int) (Model, bool) {
	if units < 1 {
		return nil, false
	}
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	resized := reflect.New(v.Type())
	resized.Elem().Set(v)
	for _, f := range kit.Fields(m) {
		if f.Key == "units" && f.Type == "integer" && f.Set(resized.Interface(), strconv.Itoa(units)) == nil {
			resized, ok := resized.Elem().Interface().(Model)
			return resized, ok
		}
	}
	return nil, false
}

package deq

import (
	"fmt"
	"reflect"

	"attractor/solvers"
)

// checkMethod reports a method that cannot be compared with others.
func checkMethod[T Float](m solvers.Method[T]) error {
	v := reflect.ValueOf(m)
	if !v.IsValid() {
		return fmt.Errorf("deq: solver without a method")
	}
	if v.Comparable() {
		return nil
	}
	what := fmt.Sprintf("it is a %v", v.Kind())
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if !v.Field(i).Comparable() {
				what = fmt.Sprintf("its field %s is a %v", v.Type().Field(i).Name, v.Type().Field(i).Type)
				break
			}
		}
	}
	return fmt.Errorf("deq: the method %T cannot be compared with others, by which a layer finds the solver again that it keeps for each: %s; use a pointer to the method, or an array in place of a slice", m, what)
}

package solvers_test

import (
	"testing"

	"attractor/solvers"
	"attractor/solvers/solvertest"
)

func TestCatalog(t *testing.T) {
	t.Run("float64", testCatalog[float64])
	t.Run("float32", testCatalog[float32])
}

func testCatalog[T solvers.Float](t *testing.T) {
	for _, e := range solvers.Catalog[T]().Entries() {
		t.Run(e.Name, func(t *testing.T) { solvertest.Test(t, e.Value, false) })
	}
	for _, e := range solvers.Linear[T]().Entries() {
		t.Run("linear "+e.Name, func(t *testing.T) { solvertest.Test(t, e.Value, true) })
	}
}

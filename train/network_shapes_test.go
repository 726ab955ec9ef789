package train

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/checkpoint"
)

// A checkpoint with tensors of very many shapes is looked through no longer than one of few: the
// widths of a network are among the sizes of its own parameters.
func TestReadNetworkOfManyShapes(t *testing.T) {
	f := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}, Meta: map[string]string{"config/model": "rate", "config/model.units": "3"}}
	for name, shape := range map[string][]int{"W": {3, 3}, "U": {3, 70}, "b": {3}, "Wo": {65, 3}, "bo": {65}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		f.Tensors[paramPrefix+name] = checkpoint.Of(make([]float64, n), shape...)
	}
	for i := range 3000 {
		f.Tensors[fmt.Sprintf("%sx%d", paramPrefix, i)] = checkpoint.Of([]float64{}, 0, i+1)
	}
	path := filepath.Join(t.TempDir(), CheckpointFile)
	if err := checkpoint.Save(path, f); err != nil {
		t.Fatal(err)
	}
	l, _, err := ReadNetwork(path, Ours[float64](), deq.Config{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if l.Inputs != 70 || l.Outputs != 65 {
		t.Errorf("%d inputs and %d outputs, want 70 and 65", l.Inputs, l.Outputs)
	}
	f.Tensors[paramPrefix+"Wo"] = checkpoint.Of(make([]float64, 12), 4, 3)
	if err := checkpoint.Save(path, f); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadNetwork(path, Ours[float64](), deq.Config{Batch: 1}); err == nil || !strings.Contains(err.Error(), "of other shapes") {
		t.Errorf("error %v", err)
	}
}

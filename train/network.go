package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/internal/checkpoint"
	"attractor/models"
)

// IsCheckpoint reports whether a path is the folder of a run, or the checkpoint of one.
func IsCheckpoint(path string) bool {
	if s, err := os.Stat(path); err == nil && s.IsDir() {
		return true
	}
	if !strings.HasSuffix(path, ".safetensors") {
		return false
	}
	f, err := checkpoint.LoadForeign(path, func(string) bool { return false })
	return err == nil && f.Meta["config/model"] != ""
}

// ReadNetwork makes the network of a checkpoint, or of the folder of a run, with the name of its model. c
// says how it is compiled.
func ReadNetwork[T deq.Float](path string, p Parts[T], c deq.Config) (*deq.Layer[T], string, error) {
	if s, err := os.Stat(path); err == nil && s.IsDir() {
		path = filepath.Join(path, CheckpointFile)
	}
	f, err := checkpoint.Load(path)
	if err != nil {
		return nil, "", fmt.Errorf("train: %w", err)
	}
	name := f.Meta["config/model"]
	if name == "" {
		return nil, "", fmt.Errorf("train: %s: expected the text %q, found none: it is not the checkpoint of a run", path, "config/model")
	}
	sets := []string{"model=" + name}
	for key, value := range f.Meta {
		if strings.HasPrefix(key, "config/model.") && value != "" {
			sets = append(sets, strings.TrimPrefix(key, "config/")+"="+value)
		}
	}
	slices.Sort(sets)
	config, err := Read(p, path, nil, sets)
	if err != nil {
		return nil, "", fmt.Errorf("train: %s: %w", path, err)
	}
	m := config.Model.Value
	inputs, outputs, err := widths(m, f)
	if err != nil {
		return nil, "", fmt.Errorf("train: %s: model %q: %w", path, name, err)
	}
	l, err := deq.New[T](m, inputs, outputs, 0, c)
	if err != nil {
		return nil, "", fmt.Errorf("train: %s: %w", path, err)
	}
	err = l.Update(func(params deq.Params[T]) error { return takeOver(params, f) })
	if err != nil {
		return nil, "", fmt.Errorf("train: %s: %w", path, err)
	}
	return l, name, nil
}

// takeOver copies the parameters of a checkpoint, which must be finite numbers.
func takeOver[T deq.Float](params deq.Params[T], f *checkpoint.File) error {
	for _, to := range params {
		switch from := f.Tensors[paramPrefix+to.Name].Data.(type) {
		case []float64:
			for i, v := range from {
				to.Data[i] = T(v)
			}
		case []float32:
			for i, v := range from {
				to.Data[i] = T(v)
			}
		}
		for _, v := range to.Data {
			if v-v != 0 {
				return fmt.Errorf("parameter %q: expected finite numbers, found %v", to.Name, v)
			}
		}
	}
	return nil
}

// widths finds the numbers of inputs and outputs for which a model has the parameters of a checkpoint.
func widths(m models.Model, f *checkpoint.File) (inputs, outputs int, err error) {
	fits := func(inputs, outputs int) bool {
		for _, p := range m.Params(inputs, outputs) {
			t, ok := f.Tensors[paramPrefix+p.Name]
			if _, single := t.Data.([]float32); !single {
				if _, double := t.Data.([]float64); !double {
					return false
				}
			}
			if !ok || !slices.Equal(t.Shape, p.Shape) {
				return false
			}
		}
		return true
	}
	var sizes []int
	for k := range 32 { // what a model adds to, as loops to outputs
		sizes = append(sizes, k+1)
	}
	for _, p := range m.Params(1, 1) { // and no others: all pairs of sizes are tried
		sizes = append(sizes, f.Tensors[paramPrefix+p.Name].Shape...)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	for _, inputs := range sizes {
		for _, outputs := range sizes {
			if inputs > 0 && outputs > 0 && fits(inputs, outputs) {
				return inputs, outputs, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("its parameters are of other shapes than the model's")
}

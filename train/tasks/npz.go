package tasks

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"attractor/internal/budget"
	"attractor/internal/datasets"
	"attractor/internal/npz"
	"attractor/train/kit"
)

const npzDoc = `a data set of your own, in an archive of numpy's (numpy.savez)
The archive holds x and y, or x_train and y_train; and x_test and y_test where the test part
is given, or else each class gives a fifth of its samples to it (the same for every seed).
x is [n, …], of which all dimensions but the first are flattened in numpy's order. y is [n] or
[n, 1] of labels from 0, integers or booleans: classification, with as many classes as the
largest label says, of which those are named that are missing; or [n] or [n, k] of floats: regression. Where y is otherwise, "kind" says
what is meant. Inputs are taken as they are or (normalize: standard) each column less its mean
over the training part, divided by its standard deviation (1 where all numbers are the same). The file is
looked for as given and then among those of "attractor data import npz FILE". Inputs of type
uint8 are kept as bytes, an eighth of the size of the others.`

// NPZ is the task that a user's own data set sets; see its entry in [Catalog].
type NPZ struct {
	File      string `default:"" doc:"the archive, or the name of an imported one; it must be given"`
	Train     int    `default:"0" doc:"samples to train on; 0 for all" max:"1e9: all samples are held in memory"`
	Test      int    `default:"0" doc:"samples to test on; 0 for all" max:"1e9: all samples are held in memory"`
	Kind      string `default:"auto" choices:"auto,classification,regression" doc:"what y holds: labels or real numbers; auto goes by its type"`
	Normalize string `default:"none" choices:"none,standard" doc:"inputs as they are, or each column of mean 0 and variance 1"`
}

// npzSet is the folder of imported archives in the data folder.
const npzSet = "npz"

// Load reads the archive. The seed changes nothing.
func (o NPZ) Load(uint64) (*Dataset, error) {
	o = kit.WithDefaults(o)
	if o.File == "" {
		return nil, errors.New("tasks: npz: no file is given: choose one with --set task.file=FILE")
	}
	path, err := o.path()
	if err != nil {
		return nil, err
	}
	f, err := npz.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	defer f.Close()
	a := &archive{path: path, file: f, names: f.Names()}
	d := &Dataset{Name: npzSet}
	x, y, err := a.pair("x_train", "y_train", "x", "y")
	if err != nil {
		return nil, err
	}
	if d.Kind, err = a.kind(o.Kind, y); err != nil {
		return nil, err
	}
	all := []named{x, y}
	given := slices.Contains(a.names, "x_test") || slices.Contains(a.names, "y_test")
	if given {
		x, y, err := a.pair("x_test", "y_test", "x_test", "y_test")
		if err != nil {
			return nil, err
		}
		all = append(all, x, y)
	}
	if err := a.fit(all, o); err != nil {
		return nil, err
	}
	if d.Train, err = a.split(x, y, d.Kind); err != nil {
		return nil, err
	}
	if given {
		if d.Test, err = a.split(all[2], all[3], d.Kind); err != nil {
			return nil, err
		}
		if got, want := d.Test.Inputs(), d.Train.Inputs(); got != want {
			return nil, a.fail(all[2].name, fmt.Sprintf("%d inputs as in the training part", want), fmt.Sprint(got))
		}
		if d.Train.Bytes != nil != (d.Test.Bytes != nil) {
			d.Train, d.Test = d.Train.floats(), d.Test.floats()
		}
	}
	d.Inputs = d.Train.Inputs()
	if d.Kind == Regression {
		d.Outputs = width(d.Train.Y, d.Train.N)
		if got := width(d.Test.Y, d.Test.N); given && got != d.Outputs {
			return nil, a.fail("y_test", fmt.Sprintf("%d targets as in the training part", d.Outputs), fmt.Sprint(got))
		}
	} else {
		d.Outputs = 1 + int(max(slices.Max(d.Train.Labels), slices.Max(append([]int32{0}, d.Test.Labels...))))
		if d.Outputs < 2 || d.Outputs > d.Train.N {
			return nil, a.fail(y.name, fmt.Sprintf("labels of at least 2 classes and at most as many as the %d samples", d.Train.N), fmt.Sprintf("%d as the largest label", d.Outputs-1))
		}
	}
	if !given {
		if d.Train.N < 2 {
			return nil, a.fail(x.name, "at least 2 samples, one of which is held out for the test", fmt.Sprint(d.Train.N))
		}
		keep, held := stratify(d.Train.N, d.Train.Labels, d.Outputs, (d.Train.N+4)/5, func(class int) *rand.Rand {
			return kit.Stream(0, "npz/split", uint64(class))
		})
		d.Train, d.Test = d.Train.divide(keep, held)
	}
	if d.Train, err = d.Train.part(npzSet, "train", o.Train, d.Outputs); err != nil {
		return nil, err
	}
	if d.Test, err = d.Test.part(npzSet, "test", o.Test, d.Outputs); err != nil {
		return nil, err
	}
	if err := d.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d.Notes = append(d.Notes, d.labelNotes()...)
	if d.Kind == Regression && o.Kind == "auto" && d.Outputs == 1 && likeLabels(d.Train.Y, d.Test.Y) {
		d.Notes = append(d.Notes, fmt.Sprintf("%s holds whole numbers as %s, which are taken for real numbers (regression): if they are labels, save them as integers or set task.kind=classification", y.name, y.Type))
	}
	if o.Normalize == standard {
		if err := d.standardize(path); err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
	}
	return d, nil
}

// path is the file as given, or else among those that were imported.
func (o NPZ) path() (string, error) {
	_, err := os.Stat(o.File)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || filepath.IsAbs(o.File) {
		return o.File, nil
	}
	dir, err := datasets.Dir(npzSet)
	if err != nil {
		return o.File, nil
	}
	for _, name := range []string{o.File, o.File + ".npz"} {
		if path := filepath.Join(dir, name); filepath.IsLocal(name) {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("tasks: npz: open %s: %w, neither here nor in %s, where \"attractor data import npz FILE\" keeps archives", o.File, fs.ErrNotExist, dir)
}

// archive is an open archive.
type archive struct {
	path  string
	file  *npz.File
	names []string
}

// named is an array with its name.
type named struct {
	name string
	npz.Header
}

func (a *archive) fail(array, expected, found string) error {
	return &npz.Error{Path: a.path, Array: array, Expected: expected, Found: found}
}

// pair is the first of two pairs of inputs and targets of which the archive has the inputs.
func (a *archive) pair(x, y, otherX, otherY string) (px, py named, err error) {
	if !slices.Contains(a.names, x) {
		x, y = otherX, otherY
	}
	for _, name := range []string{x, y} {
		if !slices.Contains(a.names, name) {
			expected := fmt.Sprintf("an array %q", name)
			if name == "x" {
				expected += ` or "x_train"`
			}
			return px, py, a.fail("", expected, fmt.Sprintf("%q", a.names))
		}
	}
	if px.Header, err = a.file.Header(x); err == nil {
		py.Header, err = a.file.Header(y)
	}
	if err != nil {
		return px, py, fmt.Errorf("tasks: %w", err)
	}
	px.name, py.name = x, y
	switch {
	case len(px.Shape) < 2:
		err = a.fail(x, "the shape [samples, inputs]", fmt.Sprint(px.Shape))
	case px.Len() == 0:
		err = a.fail(x, "at least one sample of at least one input", fmt.Sprint(px.Shape))
	case len(py.Shape) == 0 || len(py.Shape) > 2 || py.Shape[0] != px.Shape[0] || py.Len() == 0:
		err = a.fail(y, fmt.Sprintf("the shape [%d] or [%d, targets]", px.Shape[0], px.Shape[0]), fmt.Sprint(py.Shape))
	}
	return px, py, err
}

// fit refuses inputs and targets that together do not fit in memory, before any is read: what is kept of
// them, and the most that is taken beside it while they are read, divided or reduced to a part.
func (a *archive) fit(pairs []named, o NPZ) error {
	asBytes := pairs[0].IsBytes() && pairs[len(pairs)-2].IsBytes()
	kept, beside := 0.0, 0.0
	for i, p := range pairs {
		size, n := 8*float64(p.Len()), float64(p.Shape[0])
		if i%2 == 0 && asBytes {
			size /= 8
		}
		if kept += size; p.Fortran {
			beside = max(beside, size) // while it is transposed
		}
		if i%2 == 0 && p.IsBytes() && !asBytes {
			beside = max(beside, size/8) // while bytes become floats
		}
		const label, place, share = 4, 16, 0.2 // of a sample: its label, where it is and goes; what is held out
		if part := []int{o.Train, o.Test}[i/2]; i%2 == 0 && part > 0 {
			beside = max(beside, size/n*min(float64(part), n)+place*n)
		}
		if kept += float64(i%2) * label * n; len(pairs) == 2 {
			beside = max(beside, share*size+place*n)
		}
	}
	if asBytes && o.Normalize == standard {
		kept += float64(unsafe.Sizeof(Level{})) * float64(pairs[0].Len()/pairs[0].Shape[0])
	}
	need := kept + beside
	budget.Collect(need)
	if err := budget.Fit((1+budget.Garbage)*need, a.path, "save fewer samples, or inputs as uint8"); err != nil {
		return fmt.Errorf("tasks: npz: %w", err)
	}
	return nil
}

// kind is what y holds.
func (a *archive) kind(want string, y named) (Kind, error) {
	whole := strings.ContainsAny(y.Type, "biu")
	one := y.Len() == y.Shape[0]
	switch {
	case want == "regression" || want == "auto" && !whole:
		return Regression, nil
	case !one:
		return 0, a.fail(y.name, "one label per sample, or kind: regression", fmt.Sprint(y.Shape))
	}
	return Classification, nil
}

// split reads inputs and targets.
func (a *archive) split(x, y named, kind Kind) (Split, error) {
	s := Split{N: x.Shape[0]}
	var err error
	if x.IsBytes() {
		s.Bytes, err = a.file.Bytes(x.name)
	} else {
		var inputs npz.Array
		inputs, err = a.file.Read(x.name)
		s.X = inputs.Data
	}
	if err != nil {
		return s, fmt.Errorf("tasks: %w", err)
	}
	for i, v := range s.X {
		if !finite(v) {
			w := s.Inputs()
			return s, a.fail(x.name, fmt.Sprintf("a finite number in row %d, column %d", i/w, i%w), fmt.Sprint(v))
		}
	}
	if s.Bytes != nil {
		s.Levels = []Level{{}}
		for b := range s.Levels[0] {
			s.Levels[0][b] = float64(b)
		}
	}
	if kind == Classification {
		s.Labels = make([]int32, 0, s.N)
	}
	targets, err := a.file.Read(y.name)
	if err != nil {
		return s, fmt.Errorf("tasks: %w", err)
	}
	for i, v := range targets.Data {
		switch {
		case !finite(v):
			return s, a.fail(y.name, fmt.Sprintf("a finite number as element %d", i), fmt.Sprint(v))
		case kind == Classification && (v != math.Trunc(v) || v < 0 || v > math.MaxInt32):
			return s, a.fail(y.name, fmt.Sprintf("a label from 0 to %d as element %d", math.MaxInt32, i), fmt.Sprint(v))
		case kind == Classification:
			s.Labels = append(s.Labels, int32(v))
		}
	}
	if kind == Regression {
		s.Y = targets.Data
	}
	return s, nil
}

// floats is the split with inputs in floats.
func (s Split) floats() Split {
	if s.Bytes == nil {
		return s
	}
	x := make([]float64, 0, len(s.Bytes))
	for i := range s.N {
		x = s.Row(x, i)
	}
	s.X, s.Bytes, s.Levels = x, nil, nil
	return s
}

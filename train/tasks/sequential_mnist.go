package tasks

const sequentialMNISTDoc = `handwritten digits row by row: the 28 rows of 28 pixels of MNIST, one a step
X is [n, 28, 28], Labels is [n, 28] from 0 to 9, which counts at the last row alone. Files, numbers
of samples and pixels are those of mnist.`

// SequentialMNIST is the task of telling handwritten digits apart row by row; see its entry in
// [Catalog]. Its options are those of [MNIST].
type SequentialMNIST MNIST

// Sequential implements Sequential.
func (SequentialMNIST) Sequential() {}

// Load reads the four files. The seed changes nothing.
func (o SequentialMNIST) Load(seed uint64) (*Dataset, error) {
	d, err := MNIST(o).Load(seed)
	if err != nil {
		return nil, err
	}
	const rows = 28
	d.Name, d.Inputs, d.Steps = "sequential-mnist", d.Inputs/rows, rows
	for _, s := range []*Split{&d.Train, &d.Test} {
		labels := s.Labels
		s.Steps, s.Labels, s.Weights = rows, make([]int32, 0, rows*s.N), make([]float64, rows*s.N)
		for i, l := range labels {
			for range rows {
				s.Labels = append(s.Labels, l)
			}
			s.Weights[(i+1)*rows-1] = 1
		}
	}
	return d, nil
}

package tasks

import (
	"attractor/train/kit"
)

const (
	mnistDoc = `handwritten digits of 28 × 28 pixels, 10 classes (MNIST)
60,000 samples to train on and 10,000 to test on, as published. X is [n, 784], row by row,
Labels is [n] from 0 to 9. A byte p of the files is the input p/255 (normalize: unit), or
(p/255 - 0.1307)/0.3081 (normalize: standard), of mean 0 and variance 1 over all pixels of
the training part. The files are the four IDX files, plain or compressed by gzip; get them
with "attractor data fetch mnist" or "attractor data import mnist PATH". A subset (train,
test) has each class by its share and is the same for every seed.`

	mnistRef = `@article{lecun1998gradient,
  author  = {LeCun, Yann and Bottou, L{\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title   = {Gradient-Based Learning Applied to Document Recognition},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998},
  doi     = {10.1109/5.726791}
}`

	fashionDoc = `articles of clothing of 28 × 28 pixels, 10 classes (Fashion-MNIST)
60,000 samples to train on and 10,000 to test on, as published. X is [n, 784], row by row,
Labels is [n]: 0 T-shirt or top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
7 sneaker, 8 bag, 9 ankle boot. A byte p of the files is the input p/255 (normalize: unit),
or (p/255 - 0.2860)/0.3530 (normalize: standard), of mean 0 and variance 1 over all pixels
of the training part. The files are like those of mnist; get them with "attractor data fetch
fashion-mnist" or "attractor data import fashion-mnist PATH" (MIT licence). A subset (train,
test) has each class by its share and is the same for every seed.`

	fashionRef = `@misc{xiao2017fashion,
  author        = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  title         = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  year          = {2017},
  eprint        = {1708.07747},
  archivePrefix = {arXiv}
}`
)

// MNIST is the task of telling handwritten digits apart; see its entry in [Catalog].
type MNIST struct {
	Dir       string `default:"" doc:"folder of the files; empty for that in the data folder (attractor data dir)"`
	Train     int    `default:"0" doc:"samples to train on; 0 for all" max:"1e9: all samples are held in memory"`
	Test      int    `default:"0" doc:"samples to test on; 0 for all" max:"1e9: all samples are held in memory"`
	Normalize string `default:"unit" choices:"unit,standard" doc:"inputs from 0 to 1, or of mean 0 and variance 1"`
}

// Load reads the four files. The seed changes nothing.
func (o MNIST) Load(uint64) (*Dataset, error) {
	return o.loadIDX("mnist", channel{0.1307, 0.3081})
}

// Limit implements [Limited].
func (o MNIST) Limit(train, test int) Task {
	o.Train, o.Test = atMost(o.Train, train), atMost(o.Test, test)
	return o
}

// atMost is a number of samples, 0 being all, within a limit.
func atMost(n, limit int) int {
	if n == 0 {
		return limit
	}
	return min(n, limit)
}

// FashionMNIST is the task of telling articles of clothing apart; see its entry in [Catalog].
// Its options are those of [MNIST].
type FashionMNIST MNIST

// Load reads the four files. The seed changes nothing.
func (o FashionMNIST) Load(uint64) (*Dataset, error) {
	return MNIST(o).loadIDX("fashion-mnist", channel{0.2860, 0.3530})
}

// Limit implements [Limited].
func (o FashionMNIST) Limit(train, test int) Task {
	return FashionMNIST(MNIST(o).Limit(train, test).(MNIST))
}

// dataset makes a data set of whole splits.
func (o MNIST) dataset(name string, inputs int, train, test Split) (*Dataset, error) {
	const classes = 10
	var err error
	if train, err = train.part(name, "train", o.Train, classes); err != nil {
		return nil, err
	}
	if test, err = test.part(name, "test", o.Test, classes); err != nil {
		return nil, err
	}
	return &Dataset{Name: name, Kind: Classification, Inputs: inputs, Outputs: classes, Train: train, Test: test}, nil
}

// loadIDX reads a set that has the files and the shapes of MNIST.
func (o MNIST) loadIDX(name string, gray channel) (*Dataset, error) {
	o = kit.WithDefaults(o)
	const side = 28
	dir, err := folder(name, o.Dir)
	if err != nil {
		return nil, err
	}
	level := levels(o.Normalize, []channel{gray})
	read := func(part string) (Split, error) {
		images, err := file(name, dir, part+"-images-idx3-ubyte")
		if err != nil {
			return Split{}, err
		}
		labels, err := file(name, dir, part+"-labels-idx1-ubyte")
		if err != nil {
			return Split{}, err
		}
		l, err := readFile(labels, func(s *source) ([]byte, error) { return readLabels(s, 0, 10) })
		if err != nil {
			return Split{}, err
		}
		a, err := readFile(images, func(s *source) (*idx, error) { return readIDX(s, len(l), side, side) })
		if err != nil {
			return Split{}, err
		}
		return Split{N: len(l), Bytes: a.data, Levels: level, Labels: widen(l)}, nil
	}
	train, err := read("train")
	if err != nil {
		return nil, err
	}
	test, err := read("t10k")
	if err != nil {
		return nil, err
	}
	return o.dataset(name, side*side, train, test)
}

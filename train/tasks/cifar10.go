package tasks

import (
	"fmt"

	"attractor/train/kit"
)

const (
	cifar10Doc = `photographs of 32 × 32 pixels in colour, 10 classes (CIFAR-10)
50,000 samples to train on and 10,000 to test on, as published. X is [n, 3072]: the red, the
green and the blue pixels, each row by row; Labels is [n]: 0 airplane, 1 automobile, 2 bird,
3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck. A byte p of the files is the input
p/255 (normalize: unit), or (p/255 - m)/s (normalize: standard) with m = 0.4914, 0.4822,
0.4465 and s = 0.2470, 0.2435, 0.2616 for red, green and blue, of mean 0 and variance 1 over
the training part. The files are the six of the binary version, plain or compressed by gzip;
get them with "attractor data fetch cifar10" or "attractor data import cifar10 PATH". A subset
(train, test) has each class by its share and is the same for every seed.`

	cifar10Ref = `@techreport{krizhevsky2009learning,
  author      = {Krizhevsky, Alex},
  title       = {Learning Multiple Layers of Features from Tiny Images},
  institution = {University of Toronto},
  year        = {2009}
}`
)

const (
	cifar10Pixels = 32 * 32
	cifar10Width  = 3 * cifar10Pixels
	cifar10Record = 1 + cifar10Width // a label and a picture
)

// cifar10Batch is the number of records of a file. Tests have fewer.
var cifar10Batch = 10000

// CIFAR10 is the task of telling photographs apart; see its entry in [Catalog]. Its options
// are those of [MNIST].
type CIFAR10 MNIST

// Limit implements [Limited].
func (o CIFAR10) Limit(train, test int) Task {
	return CIFAR10(MNIST(o).Limit(train, test).(MNIST))
}

// Load reads the six files. The seed changes nothing.
func (o CIFAR10) Load(uint64) (*Dataset, error) {
	const name = "cifar10"
	o = kit.WithDefaults(o)
	dir, err := folder(name, o.Dir)
	if err != nil {
		return nil, err
	}
	level := levels(o.Normalize, []channel{{0.4914, 0.2470}, {0.4822, 0.2435}, {0.4465, 0.2616}})
	read := func(files ...string) (Split, error) {
		s := Split{Levels: level}
		for _, f := range files {
			path, err := file(name, dir, f)
			if err != nil {
				return Split{}, err
			}
			b, err := readFile(path, func(s *source) ([]byte, error) { return readCIFAR10(s, cifar10Batch) })
			if err != nil {
				return Split{}, err
			}
			if s.Bytes == nil {
				s.Bytes = make([]byte, 0, len(files)*cifar10Batch*cifar10Width)
			}
			for ; len(b) > 0; b = b[cifar10Record:] {
				s.Labels = append(s.Labels, int32(b[0]))
				s.Bytes = append(s.Bytes, b[1:cifar10Record]...)
				s.N++
			}
		}
		return s, nil
	}
	train, err := read("data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin")
	if err != nil {
		return nil, err
	}
	test, err := read("test_batch.bin")
	if err != nil {
		return nil, err
	}
	return MNIST(o).dataset(name, cifar10Width, train, test)
}

// readCIFAR10 reads n records of the binary version: a label from 0 to 9, then 1024 bytes of
// red, of green and of blue (https://www.cs.toronto.edu/~kriz/cifar.html). Its errors are of
// type *FileError.
func readCIFAR10(s *source, n int) ([]byte, error) {
	b, err := s.next(int64(n)*cifar10Record, fmt.Sprintf("%d records of a label and %d pixels", n, cifar10Width))
	if err != nil {
		return nil, err
	}
	if err := checkLabels(s.name, b, 0, cifar10Record, 10); err != nil {
		return nil, err
	}
	return b, s.end()
}

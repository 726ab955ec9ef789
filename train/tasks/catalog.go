package tasks

import "attractor/internal/catalog"

// Entry is an entry of Catalog: a name, a documentation, references and a Task.
type Entry = catalog.Entry[Task]

// Catalog lists the tasks.
var Catalog = catalog.Must("task",
	Entry{Name: "digits", Doc: digitsDoc, Refs: []string{digitsRef}, Value: Digits{}},
	Entry{Name: "mnist", Doc: mnistDoc, Refs: []string{mnistRef}, Value: MNIST{}},
	Entry{Name: "fashion-mnist", Doc: fashionDoc, Refs: []string{fashionRef}, Value: FashionMNIST{}},
	Entry{Name: "cifar10", Doc: cifar10Doc, Refs: []string{cifar10Ref}, Value: CIFAR10{}},
	Entry{Name: "npz", Doc: npzDoc, Value: NPZ{}},
	Entry{Name: "linear", Doc: linearDoc, Value: Linear{}},
	Entry{Name: "blobs", Doc: blobsDoc, Value: Blobs{}},
)

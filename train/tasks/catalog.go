package tasks

import "attractor/internal/catalog"

// Entry is an entry of Catalog: a name, a documentation, references and a Task.
type Entry = catalog.Entry[Task]

// Catalog lists the tasks.
var Catalog = catalog.Must("task",
	Entry{Name: "digits", Doc: digitsDoc, Refs: []string{digitsRef}, Value: Digits{}},
	Entry{Name: "linear", Doc: linearDoc, Value: Linear{}},
	Entry{Name: "blobs", Doc: blobsDoc, Value: Blobs{}},
)

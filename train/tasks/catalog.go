package tasks

import "attractor/internal/catalog"

// Catalog lists the tasks.
var Catalog = catalog.Must("task",
	catalog.Entry[Task]{Name: "digits", Doc: digitsDoc, Refs: []string{digitsRef}, Value: Digits{}},
	catalog.Entry[Task]{Name: "linear", Doc: linearDoc, Value: Linear{}},
	catalog.Entry[Task]{Name: "blobs", Doc: blobsDoc, Value: Blobs{}},
)

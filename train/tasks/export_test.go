package tasks

import "testing"

// SetCIFAR10Batch sets the number of records of a file for the rest of a test.
func SetCIFAR10Batch(t testing.TB, n int) {
	before := cifar10Batch
	cifar10Batch = n
	t.Cleanup(func() { cifar10Batch = before })
}

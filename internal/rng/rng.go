// Package rng derives every random number of a run from one seed.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream returns the generator of the stream with that name and those indices
// (for instance "batches", epoch). Streams are independent of each other and of
// the order in which they are asked for, so that a run that is resumed at step k
// draws what an uninterrupted one draws there: nothing has to be saved.
//
// The generator is PCG (O'Neill 2014, "PCG: a family of simple fast
// space-efficient statistically good algorithms for random number generation"),
// seeded with SHA-256 of the seed, the name and the indices.
func Stream(seed uint64, name string, index ...uint64) *rand.Rand {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(name)))
	b = append(b, name...)
	for _, i := range index {
		b = binary.LittleEndian.AppendUint64(b, i)
	}
	h := sha256.Sum256(b)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])))
}

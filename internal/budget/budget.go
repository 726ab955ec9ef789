package budget

import (
	"fmt"
	"math"
	"math/bits"
	"runtime/debug"
	"runtime/metrics"
	"strings"
)

// DeflateRatio is more than bytes can grow when they are unpacked: a block of deflate makes at
// most 258 bytes of two bits (RFC 1951, 3.2.5).
const DeflateRatio = 1032

// Error says that something does not fit in the memory that the process may still take.
type Error struct {
	What   string  // what is too large
	Need   float64 // bytes
	Free   float64
	Limit  string // what sets it
	Remedy string // what to do
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s needs about %s of memory, of which %s are left (by %s): %s", e.What, Bytes(e.Need), Bytes(e.Free), e.Limit, e.Remedy)
}

// small is what is taken without asking, which would take longer than taking it.
const small = 16 << 20

// Fit returns an *[Error] if so many bytes of what, 16 MiB or more, are more than the process may still take.
func Fit(need float64, what, remedy string) error {
	if need < small {
		return nil
	}
	free, limit := Free()
	if !(need <= float64(free)) && need <= float64(free)+held() {
		debug.FreeOSMemory() // as garbage counts as taken
		free, limit = Free()
	}
	if !(need <= float64(free)) {
		if limit == "" {
			limit = "the size of an address"
		}
		return &Error{What: what, Need: need, Free: float64(free), Limit: limit, Remedy: remedy}
	}
	return nil
}

// held is the memory on the heap in bytes, garbage included.
func held() float64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(heap)
	return float64(heap[0].Value.Uint64() + heap[1].Value.Uint64())
}

// Bytes is a size in words.
func Bytes(n float64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for _, unit := range units {
		if n < 1024 || unit == units[len(units)-1] {
			if unit == "bytes" {
				return fmt.Sprintf("%.0f %s", n, unit)
			}
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1024
	}
	panic("unreachable")
}

// CountError says that a product or a sum of counts is beyond the largest integer, or that a
// count is negative.
type CountError struct {
	Op     string // "×" or "+"
	Counts []int
}

func (e *CountError) Error() string {
	words := make([]string, len(e.Counts))
	for i, n := range e.Counts {
		words[i] = fmt.Sprint(n)
		if n < 0 {
			return fmt.Sprintf("expected a count that is not negative, found %d", n)
		}
	}
	return fmt.Sprintf("%s is more than %d, the largest count there is", strings.Join(words, " "+e.Op+" "), math.MaxInt)
}

// Product is the product of counts. One that is negative and a product that overflows are a
// *[CountError].
func Product(counts ...int) (int, error) {
	product, overflow, empty := uint64(1), false, false
	for _, n := range counts {
		if n < 0 {
			return 0, &CountError{Op: "×", Counts: counts}
		}
		if n == 0 {
			empty = true
			continue
		}
		high, low := bits.Mul64(product, uint64(n))
		overflow = overflow || high > 0 || low > math.MaxInt
		product = low
	}
	switch {
	case empty:
		return 0, nil
	case overflow:
		return 0, &CountError{Op: "×", Counts: counts}
	}
	return int(product), nil
}

// Sum is the sum of counts, with errors as those of [Product].
func Sum(counts ...int) (int, error) {
	sum := 0
	for _, n := range counts {
		if n < 0 || sum > math.MaxInt-n {
			return 0, &CountError{Op: "+", Counts: counts}
		}
		sum += n
	}
	return sum, nil
}

package rules

import (
	"fmt"
	"math"
	"math/rand/v2"

	"attractor/deq"
	"attractor/train/kit"
)

// Estimate is what rules have in common that carry factors at random of how the state depends on the
// parameters, whose product is right in the mean.
type Estimate struct {
	Steps    int `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Draws    int `default:"1" doc:"independent estimates that are averaged, one after the other" max:"1e6: the error falls with the square root of the draws" order:"k"`
	MaxBytes int `default:"500000000" doc:"largest memory of the factors of all samples; training that needs more is refused" max:"1e15: no machine has more memory"`
}

// Validate reports options outside their range.
func (o Estimate) Validate() error {
	if o.Steps < 0 || o.Draws < 0 || o.MaxBytes < 0 {
		return fmt.Errorf("steps, draws and max_bytes: expected at least 1, found %d, %d and %d", o.Steps, o.Draws, o.MaxBytes)
	}
	return nil
}

// Horizon is as in TemporalRule.
func (o Estimate) Horizon() int { return kit.WithDefaults(o).Steps }

// fits reports that the factors, so many bytes of what, do not fit into the memory.
func (o Estimate) fits(rule, what string, bytes float64) error {
	if limit := float64(kit.WithDefaults(o).MaxBytes); bytes > limit {
		return fmt.Errorf("rules: %s needs %.3g bytes for %s, more than max_bytes %.3g: take fewer units or a smaller batch, or raise max_bytes", rule, bytes, what, limit)
	}
	return nil
}

// balance is √(x/y), by which factors of those sizes are made equal, and 1 where one of them is 0.
func balance(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 1
	}
	return math.Sqrt(x / y)
}

// sign draws −1 or 1.
func sign[T deq.Float](r *rand.Rand) T { return T(1 - 2*int(r.Uint64()>>63)) }

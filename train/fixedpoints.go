package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/rng"
	"attractor/solvers"
)

// FixedPoints says whether the states that a test score was read from are those of the network's own dynamics
// z ← f(z, x): fixed points that were found, and at which the spectral radius ρ of ∂f/∂z is below 1, so that
// iterating the cell comes back to them. A solver such as Anderson's also finds those that the iteration leaves.
//
// By default ρ is estimated at 64 of the fixed points at most, drawn with the seed of the run, by the growth of a
// vector over 60 products with ∂f/∂z (stability.Growth). Where the estimate is nearer to 1 than 0.02 and the spread
// of its parts together, which hold its error in 99 of 100 networks with 0.9 < ρ < 1.1, the fixed point counts as
// undecided. The standard error of a share of 64 is at most 6 %; where none of 64 is unstable, fewer than 4.6 % of
// all are, with a confidence of 95 %. With Settings.StabilityTest exact the eigenvalues are found at all of them
// (stability.SpectralRadius). Of a fixed point exactly on kinks, as a relu network without bias at rest, which has no ∂f/∂z,
// ρ is the largest growth of perturbations: of 16 directions, or with exact of as many as stability.OnKinks follows.
type FixedPoints struct {
	Samples   int    `json:"samples"`   // of the test split
	Converged int    `json:"converged"` // of which the solve converged
	Method    string `json:"method"`    // Settings.StabilityTest
	Examined  int    `json:"examined"`  // of the converged ones: Stable, Unstable or Undecided
	Stable    int    `json:"stable"`
	Unstable  int    `json:"unstable"`
	Undecided int    `json:"undecided"` // ρ is too near to 1 for the method
}

// LeastShare is the share of samples whose solves converge, and of fixed points that are stable, below which there
// is a warning.
const LeastShare = 0.95

// ConvergedShare is the share of the samples whose solve converged; NaN without samples.
func (f FixedPoints) ConvergedShare() float64 { return float64(f.Converged) / float64(f.Samples) }

// Decided is how many of the fixed points examined are known to be stable or unstable.
func (f FixedPoints) Decided() int { return f.Stable + f.Unstable }

// StableShare is the share of the stable ones among the fixed points examined and decided; NaN without any.
func (f FixedPoints) StableShare() float64 { return float64(f.Stable) / float64(f.Decided()) }

// Add adds the counts of another run.
func (f *FixedPoints) Add(o FixedPoints) {
	f.Samples, f.Converged, f.Examined = f.Samples+o.Samples, f.Converged+o.Converged, f.Examined+o.Examined
	f.Stable, f.Unstable, f.Undecided = f.Stable+o.Stable, f.Unstable+o.Unstable, f.Undecided+o.Undecided
	f.Method = o.Method
}

// MarshalJSON writes the two shares too.
func (f FixedPoints) MarshalJSON() ([]byte, error) {
	type counts FixedPoints
	return json.Marshal(struct {
		counts
		ConvergedShare Number `json:"converged_share"`
		StableShare    Number `json:"stable_share"`
	}{counts(f), Number(f.ConvergedShare()), Number(f.StableShare())})
}

// String says it in a line.
func (f FixedPoints) String() string {
	text := fmt.Sprintf("%d of %d test samples at a fixed point", f.Converged, f.Samples)
	if f.Examined > 0 {
		text += fmt.Sprintf("; of %d examined %d stable, %d unstable", f.Examined, f.Stable, f.Unstable)
	}
	if f.Undecided > 0 {
		text += fmt.Sprintf(", %d not decided", f.Undecided)
	}
	return text
}

// Check reports counts that no test can have.
func (f FixedPoints) Check() error {
	for _, n := range []int{f.Samples, f.Converged, f.Examined, f.Stable, f.Unstable, f.Undecided} {
		if n < 0 {
			return fmt.Errorf("fixed_points: expected counts from 0, found %d", n)
		}
	}
	if f.Converged > f.Samples || f.Examined > f.Converged || f.Stable+f.Unstable+f.Undecided != f.Examined {
		return fmt.Errorf("fixed_points: expected converged of the samples, examined of them, and of these stable, unstable and undecided ones, found %d, %d and %d, %d and %d of %d samples",
			f.Converged, f.Examined, f.Stable, f.Unstable, f.Undecided, f.Samples)
	}
	return nil
}

// Doubts say why the accuracy of the run may be none that the network's own dynamics have: what the fixed points of
// the final test (nil for none) are like, and how many samples of training had a solve that did not converge, be it
// the forward solve or one of the rule's own. There are none of solves where Settings.Unconverged accepts that they fail.
func (t *Trainer[T]) Doubts(f *FixedPoints) (out []string) {
	accepted := t.settings.Unconverged == "accept"
	if f != nil {
		if f.ConvergedShare() < LeastShare && !accepted {
			out = append(out, fmt.Sprintf("solves of only %d of %d test samples converged: the others are scored at states that are no fixed points", f.Converged, f.Samples))
		}
		if f.StableShare() < LeastShare {
			out = append(out, fmt.Sprintf("of %d test fixed points examined %d are stable and %d unstable: the solver finds them, but iterating the cell leaves them, so that the network's own dynamics do not have this score",
				f.Examined, f.Stable, f.Unstable))
		}
		if float64(f.Undecided) > (1-LeastShare)*float64(f.Examined) && f.Method == estimatedStability {
			out = append(out, fmt.Sprintf("of %d test fixed points examined %d are too near to the edge of stability for an estimate: --set train.stability_test=exact decides", f.Examined, f.Undecided))
		}
	}
	if !accepted && float64(t.Failed) > (1-LeastShare)*float64(t.Samples) {
		out = append(out, fmt.Sprintf("solves of %d of %d samples of training did not converge: what was learned from them rests on no fixed point", t.Failed, t.Samples))
	}
	return out
}

// The values of Settings.StabilityTest.
const (
	estimatedStability = "estimate"
	exactStability     = "exact"
)

const (
	examinedMost  = 64   // fixed points, for an estimate
	growthMargin  = 0.02 // of error beyond the spread: see TestEstimatedStability
	exactMargin   = 1e-4 // rounding in float32
	stabilityName = "test/stability"
)

// fixedPointTest looks at the fixed points of a test, batch by batch.
type fixedPointTest[T deq.Float] struct {
	FixedPoints
	layer *deq.Layer[T]
	seed  uint64
	draw  *rand.Rand
	x, z  []T // of the fixed points drawn so far
}

// newFixedPointTest returns nil where states are read out that nothing has solved for.
func (t *Trainer[T]) newFixedPointTest() *fixedPointTest[T] {
	if temporal(t.rule) {
		return nil
	}
	return &fixedPointTest[T]{
		FixedPoints: FixedPoints{Method: t.settings.StabilityTest}, layer: t.Layer, seed: t.settings.Seed,
		draw: rng.Stream(t.settings.Seed, stabilityName),
	}
}

// see takes in a batch: all of it for the exact test, otherwise what is drawn of it, so that at the end each fixed
// point is as likely to be there as any other (reservoir sampling).
//
// J. S. Vitter, ACM Trans. Math. Softw. 11 (1985) 37–57, algorithm R, doi:10.1145/3147.3165.
func (f *fixedPointTest[T]) see(ctx context.Context, e *deq.Equilibrium[T]) error {
	inputs, units := f.layer.Inputs, f.layer.Units
	for b, status := range e.Report.Status {
		f.Samples++
		if status != solvers.Converged {
			continue
		}
		f.Converged++
		x, z := e.X[b*inputs:(b+1)*inputs], e.Z[b*units:(b+1)*units]
		switch {
		case f.Method == exactStability || f.Method == estimatedStability && f.Converged <= examinedMost:
			f.x, f.z = append(f.x, x...), append(f.z, z...)
		case f.Method == estimatedStability:
			if k := f.draw.IntN(f.Converged); k < examinedMost {
				copy(f.x[k*inputs:], x)
				copy(f.z[k*units:], z)
			}
		}
	}
	if f.Method != exactStability {
		return nil
	}
	return f.examine(ctx)
}

// examine decides on the fixed points drawn, and lets go of them.
func (f *fixedPointTest[T]) examine(ctx context.Context) error {
	inputs, units := f.layer.Inputs, f.layer.Units
	for rows := len(f.z) / units; rows > 0; rows = len(f.z) / units {
		n := min(rows, f.layer.Batch())
		e, err := f.layer.At(f.x[:n*inputs], f.z[:n*units])
		if err != nil {
			return err
		}
		rates, margin := make([]stability.Rate, n), exactMargin
		if f.Method == exactStability {
			radii, err := stability.SpectralRadius(ctx, e)
			if err != nil {
				return err
			}
			if err := f.onKinks(ctx, e, radii); err != nil {
				return err
			}
			for b, r := range radii {
				rates[b].Radius = r
			}
		} else if rates, err = stability.Growth(e, growthSteps, f.seed); err != nil {
			return err
		} else {
			margin = growthMargin
		}
		for _, r := range rates {
			f.Examined++
			switch doubt := margin + r.Spread; {
			case r.Radius < 1-doubt:
				f.Stable++
			case r.Radius > 1+doubt:
				f.Unstable++
			default: // also NaN
				f.Undecided++
			}
		}
		f.x, f.z = f.x[n*inputs:], f.z[n*units:]
	}
	f.x, f.z = f.x[:0], f.z[:0]
	return nil
}

// onKinks puts the growth of perturbations in place of the radii of samples that are exactly on kinks. Those that are alike,
// as at rest without input, are looked at once.
func (f *fixedPointTest[T]) onKinks(ctx context.Context, e *deq.Equilibrium[T], radii []float64) error {
	if !f.layer.Kinked() {
		return nil
	}
	here, err := e.Sides(0)
	if err != nil {
		return err
	}
	last := -1
	for b, on := range here.On {
		switch same := func(v []T, size int) bool { return slices.Equal(v[b*size:(b+1)*size], v[last*size:(last+1)*size]) }; {
		case on == 0:
		case last >= 0 && same(e.X, f.layer.Inputs) && same(e.Z, f.layer.Units):
			radii[b] = radii[last]
		default:
			factor, kinks, err := stability.OnKinks(ctx, e, b)
			if err != nil {
				return err
			}
			if last = b; kinks > 0 {
				radii[b] = factor
			}
		}
	}
	return nil
}

// FinalTest is Test, and says what the states behind the score are: nil under a rule that runs through time, whose
// states are those of the dynamics whether they are fixed points or not.
func (t *Trainer[T]) FinalTest(ctx context.Context) (Score, *FixedPoints, error) {
	points := t.newFixedPointTest()
	s, err := t.score(ctx, t.test, points)
	if err != nil || points == nil {
		return s, nil, err
	}
	if err := points.examine(ctx); err != nil {
		return s, nil, fmt.Errorf("train: test: stability: %w", err)
	}
	return s, &points.FixedPoints, nil
}

// Package zhu2024 reproduces V. Zhu and R. Rosenbaum, "Learning Fixed Points of Recurrent
// Neural Networks by Reparameterizing the Network Model", Neural Computation 36 (2024)
// 1568–1600, arXiv:2307.06732.
//
// Figures 1 to 3 are about a linear network r = Wr + x, the rest about a tanh network that
// classifies images. Three rules change W:
//
//	gradient          −η ∇_W J, the Euclidean gradient
//	reparam-steepest  steepest descent under the distance ‖(I − W)⁻¹ − (I − W′)⁻¹‖
//	reparam-gradient  gradient descent under the Riemannian form of that distance
package zhu2024

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"attractor/internal/catalog"
	"attractor/internal/figure"
	"attractor/train/experiments"
)

const ref = `@article{zhu2024learning,
  title   = {Learning Fixed Points of Recurrent Neural Networks by Reparameterizing the Network Model},
  author  = {Zhu, Vicky and Rosenbaum, Robert},
  journal = {Neural Computation},
  volume  = {36},
  number  = {8},
  pages   = {1568--1600},
  year    = {2024},
  eprint  = {2307.06732},
  archiveprefix = {arXiv}
}`

// Entries lists the experiments.
func Entries() []catalog.Entry[experiments.Experiment] {
	refs := []string{ref}
	return []catalog.Entry[experiments.Experiment]{
		{Name: "zhu2024/fig1", Value: experiments.Func(fig1), Refs: refs, Doc: fig1Doc},
		{Name: "zhu2024/fig2", Value: experiments.Func(fig2), Refs: refs, Doc: fig2Doc},
		{Name: "zhu2024/fig3", Value: experiments.Func(fig3), Refs: refs, Doc: fig3Doc},
		{Name: "zhu2024/digits", Value: experiments.Func(digits), Refs: refs, Doc: digitsDoc},
	}
}

const (
	paper   = "Zhu & Rosenbaum 2024"
	derived = "derived"
)

// published reports whether the numbers of the paper are to be expected, which were drawn
// from its seed.
func published(o experiments.Options) bool { return seedOf(o) == paperSeed }

// seedOf is the seed that is used.
func seedOf(o experiments.Options) uint64 {
	if o.Seed == 0 {
		return paperSeed
	}
	return o.Seed
}

func seedNote(o experiments.Options) string {
	if published(o) {
		return fmt.Sprintf("The published seed %d, from NumPy's generator.", paperSeed)
	}
	return fmt.Sprintf("NumPy's generator with seed %d; the paper's numbers are of seed %d and are not checked.", o.Seed, paperSeed)
}

// save writes a figure to the folder of the options, if there is one.
func save(o experiments.Options, r *experiments.Result, name string, f figure.Figure) error {
	if o.Out == "" {
		return nil
	}
	if err := figure.Save(o.Out, name, f); err != nil {
		return fmt.Errorf("zhu2024: figure %s: %w", name, err)
	}
	for _, ext := range []string{".png", ".svg"} {
		r.Figures = append(r.Figures, filepath.Join(o.Out, name+ext))
	}
	return nil
}

// work does n independent pieces of work on all cores and tells the options' Progress.
func work(ctx context.Context, o experiments.Options, n int, piece func(i int) error, note func(i int) string) error {
	var (
		mu    sync.Mutex
		next  int
		done  int
		first error
		wg    sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				if first == nil {
					first = ctx.Err()
				}
				stop := first != nil || i >= n
				mu.Unlock()
				if stop {
					return
				}
				err := piece(i)
				mu.Lock()
				done++
				if err != nil && first == nil {
					first = err
				}
				if o.Progress != nil && err == nil {
					o.Progress(done, n, note(i))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return first
}

package experiments

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"attractor/internal/figure"
)

// Save writes a figure to the folder of the options, if there is one, and lists its files.
func (r *Result) Save(o Options, name string, f figure.Figure) error {
	if o.Out == nil {
		return nil
	}
	files := figure.Files(name)
	if err := o.Out.Make(func() error { return figure.Save(o.Out.Dir, name, f) }, files...); err != nil {
		return fmt.Errorf("%s: figure %s: %w", r.Name, name, err)
	}
	for _, file := range files {
		r.Figures = append(r.Figures, o.Out.Path(file))
	}
	return nil
}

// Work does n independent pieces of work on all cores and tells Progress.
func (o Options) Work(ctx context.Context, n int, piece func(i int) error, note func(i int) string) error {
	return o.WorkInParts(ctx, n, 1, func(i int, _ func()) error { return piece(i) }, note)
}

// WorkInParts is Work whose pieces have parts, up to so many; a piece calls done after each. What it
// has not told of when it returns is done then.
func (o Options) WorkInParts(ctx context.Context, n, parts int, piece func(i int, done func()) error, note func(i int) string) error {
	var (
		mu    sync.Mutex
		next  int
		told  int
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
				left := parts
				tell := func(count int) {
					mu.Lock()
					defer mu.Unlock()
					for count = min(count, left); count > 0; count-- {
						left--
						if told++; o.Progress != nil {
							o.Progress(told, n*parts, note(i))
						}
					}
				}
				err := piece(i, func() { tell(1) })
				if err == nil {
					tell(parts)
					continue
				}
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return first
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"attractor/internal/catalog"
	"attractor/train"
	"attractor/train/experiments"
)

// A check that does not hold, a run that is interrupted and one that fails have their codes, and
// what is infinite is told so.
func TestReproduceCodes(t *testing.T) {
	ours := reproducible
	defer func() { reproducible = ours }()
	ctx, cancel := context.WithCancel(t.Context())
	try := func(_ context.Context, _ experiments.Options) (*experiments.Result, error) {
		r := &experiments.Result{Name: "mine/wrong"}
		r.Bound("never", math.Inf(1), experiments.Below, 1, "a test")
		return r, nil
	}
	reproducible = catalog.Must("experiment",
		catalog.Entry[experiments.Experiment]{Name: "mine/wrong", Doc: "a check that does not hold", Value: experiments.Func(try)},
		catalog.Entry[experiments.Experiment]{Name: "mine/cut", Doc: "is interrupted", Value: experiments.Func(
			func(ctx context.Context, _ experiments.Options) (*experiments.Result, error) {
				cancel()
				return nil, ctx.Err()
			})},
	)
	do := func(ctx context.Context, name string) (int, string, string) {
		var out, log bytes.Buffer
		p := &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: &out, stderr: &log}
		code := p.run(ctx, []string{"reproduce", name, "--json", "--out", filepath.Join(t.TempDir(), "out")})
		return code, out.String(), log.String()
	}
	code, stdout, stderr := do(t.Context(), "mine/wrong")
	var got struct {
		Holds  bool
		Checks []struct {
			Measured train.Number
			Holds    bool
		}
		Values, Figures []any
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if code != exitCheck || got.Holds || got.Checks[0].Holds || !math.IsInf(float64(got.Checks[0].Measured), 1) || got.Values == nil || got.Figures == nil {
		t.Errorf("exit code %d, %+v: %s", code, got, stderr)
	}
	if code, _, stderr := do(ctx, "mine/cut"); code != exitInterrupted {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

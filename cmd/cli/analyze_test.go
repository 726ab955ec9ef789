package cli

import (
	"cmp"
	"encoding/json"
	"math"
	"math/cmplx"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"attractor/internal/npz"
	"attractor/models/meanfield"
)

// TestAnalyzeScripts runs testdata/analyze/*.txtar beside the files there, which make.py has written
// with numpy, and those of testdata/networks.
func TestAnalyzeScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/analyze",
		Setup: func(env *testscript.Env) error {
			if err := os.CopyFS(env.WorkDir, os.DirFS("testdata/networks")); err != nil {
				return err
			}
			return os.CopyFS(env.WorkDir, os.DirFS("testdata/analyze"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "json": hasJSON, "damage": damage, "cut": cut,
		},
	})
}

func analyzed(t *testing.T, args ...string) analyzeResult {
	t.Helper()
	code, stdout, stderr := run(t, append([]string{"analyze", "--json"}, args...)...)
	var r analyzeResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitDone {
		t.Fatalf("%v: exit code %d, %v: %s", args, code, err, stderr)
	}
	return r
}

// reference reads arrays that make.py has written.
func reference(t *testing.T, file string, names ...string) (arrays [][]float64) {
	t.Helper()
	f, err := npz.Open(filepath.Join("testdata", "analyze", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range names {
		a, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		arrays = append(arrays, a.Data)
	}
	return arrays
}

// All fixed points that numpy has planted are found, with the eigenvalues that numpy finds there.
func TestAnalyzePlanted(t *testing.T) {
	arrays := reference(t, "reference.npz", "points", "real", "imag")
	points, re, im := arrays[0], arrays[1], arrays[2]
	const n = 24
	r := analyzed(t, filepath.Join("testdata", "analyze", "planted.npz"), "--steps", "100")
	if r.IndexSum != 1 || r.Units != n {
		t.Errorf("%d units, the indices of %d points add up to %g", r.Units, len(r.FixedPoints), float64(r.IndexSum))
	}
	largest := 0.0
	for k := range len(points) / n {
		hits := 0
		for _, f := range r.FixedPoints {
			far := 0.0
			for i, z := range f.Z {
				far = max(far, math.Abs(float64(z)-points[k*n+i]))
			}
			if far > 1e-8 {
				continue
			}
			hits++
			unstable := 0
			for i := range n {
				want, off := complex(re[k*n+i], im[k*n+i]), math.Inf(1)
				for _, v := range f.Eigenvalues {
					off = min(off, cmplx.Abs(complex128(v)-want))
				}
				if !(off <= 1e-8) {
					t.Errorf("planted point %d: eigenvalue %v is missing by %.2g", k, want, off)
				}
				if cmplx.Abs(want) >= 1 {
					unstable++
				}
			}
			if int(f.Unstable) != unstable || f.Q > 1e-18 {
				t.Errorf("planted point %d: %g unstable, want %d; q %g", k, float64(f.Unstable), unstable, float64(f.Q))
			}
		}
		if hits != 1 {
			t.Errorf("planted point %d is found %d times", k, hits)
		}
	}
	for _, f := range r.FixedPoints {
		for _, v := range f.Eigenvalues {
			largest = max(largest, cmplx.Abs(complex128(v)))
		}
	}
	if !(math.Abs(float64(r.Radius)-largest) <= 1e-12) {
		t.Errorf("spectral radius %g, largest eigenvalue %g", float64(r.Radius), largest)
	}
}

// The fixed points of a network with a loop of rank one are those that numpy finds by a scan of the loop, as many as
// the mean-field theory says for its overlaps.
func TestAnalyzeLoop(t *testing.T) {
	const n = 60
	arrays := reference(t, "loop_reference.npz", "points", "stable", "overlaps")
	points, stable, overlaps := arrays[0], arrays[1], arrays[2]
	open, err := meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.5}.Network(0.3).Open()
	if err != nil {
		t.Fatal(err)
	}
	theory := open.Close(meanfield.Readout{U: overlaps[0], V: overlaps[1]}).Solutions()
	for _, file := range []string{"loop.npz", "parts.npz"} {
		r := analyzed(t, filepath.Join("testdata", "analyze", file), "--dynamics", "rate", "--lyapunov", "0")
		if len(r.FixedPoints) != len(stable) || len(theory) != len(stable) || r.IndexSum != 1 {
			t.Fatalf("%s: %d fixed points with the sum %g of indices, by a scan %d, in theory %d", file, len(r.FixedPoints), float64(r.IndexSum), len(stable), len(theory))
		}
		order := make([]int, len(stable)) // which point is that of the scan
		for k, s := range stable {
			hits := 0
			for i, f := range r.FixedPoints {
				far := 0.0
				for i, z := range f.Z {
					far = max(far, math.Abs(float64(z)-points[k*n+i]))
				}
				if far > 1e-8 {
					continue
				}
				hits++
				order[k] = i
				if (f.Status == "stable") != (s == 1) || theory[k].Stable != (s == 1) {
					t.Errorf("%s: point %d is %s, in theory stable: %v, by numpy: %v", file, k, f.Status, theory[k].Stable, s == 1)
				}
			}
			if hits != 1 {
				t.Errorf("%s: point %d of the scan is found %d times", file, k, hits)
			}
		}
		if file == "loop.npz" {
			if r.Loops != nil {
				t.Errorf("loops of W alone: %+v", r.Loops)
			}
			continue
		}
		for k, want := range overlaps {
			if got := float64(r.Loops.Overlaps[0][k+1]); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("n·%s is %g, by numpy %g", r.Loops.Names[k+1], got, want)
			}
		}
		first, last := r.Loops.Along[0], r.Loops.Along[len(r.Loops.Along)-1]
		if first.To != order[0] || last.To != order[len(order)-1] {
			t.Errorf("from the ends of m it settles at %d and %d, want %d and %d", first.To, last.To, order[0], order[len(order)-1])
		}
	}
}

// A vanilla RNN as PyTorch saves it has the fixed point that it comes to in PyTorch, and the eigenvalues of
// PyTorch's Jacobian there.
func TestAnalyzeTorch(t *testing.T) {
	arrays := reference(t, "rnn_reference.npz", "h", "real", "imag")
	h, re, im := arrays[0], arrays[1], arrays[2]
	r := analyzed(t, filepath.Join("testdata", "analyze", "rnn.safetensors"), "--input", "0.5,-1,2", "--lyapunov", "0")
	if len(r.FixedPoints) != 1 {
		t.Fatalf("%d fixed points", len(r.FixedPoints))
	}
	f := r.FixedPoints[0]
	for i, want := range h {
		if got := float64(f.Z[i]); !(math.Abs(got-want) <= 1e-10) {
			t.Errorf("unit %d is at %g, in PyTorch at %g", i, got, want)
		}
		off, v := math.Inf(1), complex(re[i], im[i])
		for _, found := range f.Eigenvalues {
			off = min(off, cmplx.Abs(complex128(found)-v))
		}
		if !(off <= 1e-10) {
			t.Errorf("the eigenvalue %v of PyTorch is missing by %.2g", v, off)
		}
	}
}

// The lines of Python in the help do what they say, where Python has numpy: they analyse a network of numpy's and read the
// fixed points back.
func TestAnalyzeFromPython(t *testing.T) {
	python := cmp.Or(os.Getenv("ATTRACTOR_PYTHON"), "python3")
	if err := exec.Command(python, "-c", "import numpy").Run(); err != nil {
		t.Skipf("%s has no numpy: %v", python, err)
	}
	_, help, _ := run(t, "help", "analyze")
	_, snippet, found := strings.Cut(help, "From Python, and back:\n\n")
	snippet, _, ends := strings.Cut(snippet, "\n\n")
	lines := strings.Split(strings.ReplaceAll(snippet, "    ", ""), "\n")
	if !found || !ends || len(lines) != 5 {
		t.Fatalf("the help has no five lines of Python: %q", snippet)
	}
	lines = append(lines, "assert len(points) > 0", "assert all(numpy.abs(numpy.tanh(W @ p) - p).max() < 1e-8 for p in points)")
	script := exec.Command(python, "-c", strings.Join(lines, "\n"))
	script.Dir = t.TempDir()
	if out, err := script.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", python, err, out)
	}
}

// A unit with two stable points: tanh(1.5 z) = z at 0 and ±p. As a map and as a flow the points are the same, and
// the exponent is that of the stable points.
func TestAnalyzePitchfork(t *testing.T) {
	p := 1.0
	for range 200 {
		p = math.Tanh(1.5 * p)
	}
	slope := 1.5 * (1 - p*p)
	for dynamics, want := range map[string]float64{"map": math.Log(slope), "rate": slope - 1} {
		r := analyzed(t, filepath.Join("testdata", "analyze", "pitchfork.npz"), "--dynamics", dynamics, "--steps", "2000", "--sample", "1")
		if len(r.FixedPoints) != 3 || len(r.Edges) != 2 || r.Elsewhere != 0 || len(r.Lyapunov) != 1 {
			t.Fatalf("%s: %+v", dynamics, r)
		}
		settled := 0
		for _, f := range r.FixedPoints {
			settled += f.Basin
			if z := math.Abs(float64(f.Z[0])); f.Status == "stable" && !(math.Abs(z-p) <= 1e-9) || f.Status == "saddle" && z > 1e-9 {
				t.Errorf("%s: %s at %v", dynamics, f.Status, f.Z)
			}
		}
		if settled != r.Basins || r.Basins != 200 {
			t.Errorf("%s: %d of %d random states settled", dynamics, settled, r.Basins)
		}
		if l := float64(r.Lyapunov[0]); !(math.Abs(l-want) <= 1e-6) {
			// the unit that forgets is slower as a map
			if second := math.Log(0.2 * (1 - math.Pow(float64(r.FixedPoints[1].Z[1]), 2))); dynamics != "map" || !(math.Abs(l-max(want, second)) <= 1e-6) {
				t.Errorf("%s: exponent %g, want %g", dynamics, l, want)
			}
		}
		if !(math.Abs(float64(r.Radius)-1.5) <= 1e-9) {
			t.Errorf("%s: spectral radius %g, want that at 0, 1.5", dynamics, float64(r.Radius))
		}
	}
}

// Exponents under a sequence of inputs are those that numpy finds.
func TestAnalyzeDriven(t *testing.T) {
	at := func(name string) string { return filepath.Join("testdata", "analyze", name) }
	want := reference(t, "driven.npz", "exponents")[0]
	r := analyzed(t, at("driven.npz"), "--drive", at("drive.npz"), "--lyapunov", "6", "--steps", "10000", "--starts", "1", "--basins", "0")
	for i, v := range r.Lyapunov {
		if !(math.Abs(float64(v)-want[i]) <= 1e-3) {
			t.Errorf("exponent %d is %g, want %g", i, float64(v), want[i])
		}
	}
}

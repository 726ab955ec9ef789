package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"math/cmplx"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gonum.org/v1/gonum/mat"

	"attractor/train"
)

// TestSolveScripts runs testdata/solve/*.txtar beside the files of testdata/networks, which
// numpy and the safetensors package of Python have written.
func TestSolveScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/solve",
		Setup: func(env *testscript.Env) error {
			return os.CopyFS(env.WorkDir, os.DirFS("testdata/networks"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "json": hasJSON, "damage": damage, "cut": cut,
		},
	})
}

// What is printed are fixed points of what the file holds, by every solver.
func TestSolve(t *testing.T) {
	reference, err := loadNetwork("testdata/networks/network.npz")
	if err != nil {
		t.Fatal(err)
	}
	if reference.units != 6 || reference.inputs != 2 || reference.samples != 3 {
		t.Fatalf("read %+v", reference)
	}
	w := mat.NewDense(6, 6, reference.w)
	phi := map[string]func(a float64) (z, slope float64){
		"tanh":    func(a float64) (float64, float64) { z := math.Tanh(a); return z, 1 - z*z },
		"relu":    func(a float64) (float64, float64) { return max(a, 0), math.Max(0, math.Copysign(1, a)) },
		"sigmoid": func(a float64) (float64, float64) { z := 1 / (1 + math.Exp(-a)); return z, z * (1 - z) },
	}
	solve := func(file, solver, activation, precision string, tol float64) {
		t.Helper()
		code, stdout, stderr := run(t, "solve", filepath.Join("testdata", "networks", file), "--json",
			"--solver", solver, "--activation", activation, "--precision", precision, "--rtol", fmt.Sprint(tol), "--max-evals", "1000")
		name := strings.Join([]string{file, solver, activation, precision}, " ")
		var r solveResult
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitDone {
			t.Fatalf("%s: exit code %d, %v: %s", name, code, err, stderr)
		}
		largest := 0.0
		for b, s := range r.Samples {
			if s.Status != "converged" || s.Evals < 1 || !(s.Residual <= train.Number(tol)) {
				t.Fatalf("%s: sample %d: %s, %d evaluations, residual %g", name, b, s.Status, s.Evals, float64(s.Residual))
			}
			j := mat.NewDense(6, 6, nil)
			for i := range 6 {
				a := reference.b[i]
				for k, v := range reference.u[2*i : 2*i+2] {
					a += v * reference.x[2*b+k]
				}
				for k := range 6 {
					a += w.At(i, k) * float64(s.Z[k])
				}
				z, slope := phi[activation](a)
				if !(math.Abs(z-float64(s.Z[i])) <= 10*tol) {
					t.Errorf("%s: sample %d: z[%d] is %g, f(z)[%d] %g", name, b, i, float64(s.Z[i]), i, z)
				}
				for k := range 6 {
					j.Set(i, k, slope*w.At(i, k))
				}
			}
			radius := 0.0
			var eigen mat.Eigen
			eigen.Factorize(j, mat.EigenNone)
			for _, v := range eigen.Values(nil) {
				radius = max(radius, cmplx.Abs(v))
			}
			largest = max(largest, radius)
			if !(math.Abs(radius-float64(s.Radius)) <= 100*tol) {
				t.Errorf("%s: sample %d: spectral radius %g, want %g", name, b, float64(s.Radius), radius)
			}
		}
		if !(math.Abs(largest-float64(r.Radius)) <= 100*tol) || r.Converged != 3 || len(r.Samples) != 3 {
			t.Errorf("%s: %d of %d converged, radius %g, want 3 of 3 and %g", name, r.Converged, len(r.Samples), float64(r.Radius), largest)
		}
	}
	for _, solver := range []string{"picard", "anderson", "broyden", "broyden-bad", "newton-gmres", "newton", "auto"} {
		for activation := range phi {
			solve("network.npz", solver, activation, "float64", 1e-10)
		}
		solve("network.npz", solver, "tanh", "float32", 1e-5)
	}
	for _, file := range []string{"fortran.npz", "network.safetensors"} {
		solve(file, "auto", "tanh", "float64", 1e-10)
	}
}

// The network of a run is solved with its parametrisation: the point is one that analyze finds.
func TestSolveRuns(t *testing.T) {
	for _, option := range []string{"dropout=0.2", "dale=0.8", "normalize=spectral", "density=0.3", "activation=relu", "units=6"} {
		dir := filepath.Join(t.TempDir(), "run")
		if code, _, stderr := run(t, "train", "-q", "--task", "blobs", "--epochs", "1", "--set", "model.units=8", "--set", "model."+option, "--out", dir); code != exitDone {
			t.Fatal(stderr)
		}
		var solved solveResult
		var analyzed struct {
			Points []struct{ Z []float64 } `json:"fixed_points"`
		}
		for into, args := range map[any][]string{&solved: {"solve"}, &analyzed: {"analyze", "--lyapunov", "0", "--basins", "0", "--starts", "4"}} {
			code, stdout, stderr := run(t, append(args, filepath.Join(dir, "checkpoint.safetensors"), "--json")...)
			if err := json.Unmarshal([]byte(stdout), into); err != nil || code != exitDone {
				t.Fatalf("%s: %s: exit code %d, %v: %s", option, args[0], code, err, stderr)
			}
		}
		if solved.Converged != 1 || solved.Model != "rate" {
			t.Fatalf("%s: %+v", option, solved)
		}
		nearest := math.Inf(1)
		for _, p := range analyzed.Points {
			off := 0.0
			for i, z := range p.Z {
				off = math.Hypot(off, z-float64(solved.Samples[0].Z[i]))
			}
			nearest = min(nearest, off)
		}
		if !(nearest < 1e-6) {
			t.Errorf("%s: the nearest point of analyze is %g away", option, nearest)
		}
	}
}

// FuzzNetwork reads damaged files: an error, or sizes that agree.
func FuzzNetwork(f *testing.F) {
	for _, name := range []string{"network.npz", "fortran.npz", "network.safetensors", "start.npz", "inputs.npz"} {
		data, err := os.ReadFile(filepath.Join("testdata", "networks", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "network")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		n, err := loadNetwork(path)
		if err != nil {
			return
		}
		if len(n.w) != n.units*n.units || len(n.b) != n.units || len(n.u) != n.units*n.inputs || len(n.x) != n.samples*n.inputs ||
			n.z0 != nil && len(n.z0) != n.samples*n.units {
			t.Errorf("%d units, %d inputs, %d samples: %d, %d, %d, %d, %d numbers",
				n.units, n.inputs, n.samples, len(n.w), len(n.b), len(n.u), len(n.x), len(n.z0))
		}
	})
}

package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"attractor/cmd/bench"
)

// The test's own program stands in for Python where a peer's behaviour is to be chosen.
func TestMain(m *testing.M) {
	if mode := os.Getenv("FAKE_PEER"); mode != "" {
		fake(mode)
		return
	}
	os.Exit(m.Run())
}

func fake(mode string) {
	say := func(v any) { _ = json.NewEncoder(os.Stdout).Encode(v) }
	switch mode {
	case "missing":
		say(map[string]any{"missing": []string{"torchdeq (no module)"}})
		return
	case "dead": // it says why only when its standard output has ended
		os.Stdout.Close()
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintln(os.Stderr, "out of memory")
		return
	case "mute": // it goes on, saying nothing
		fmt.Fprintln(os.Stderr, "for ever")
		os.Stdout.Close()
		time.Sleep(time.Minute)
	case "chatter":
		fmt.Println("hello")
		return
	}
	say(map[string]any{"ready": true, "threads": 1, "versions": map[string]string{"numpy": "9.9"}, "blas": "none"})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch mode {
		case "times":
			say(map[string]any{"us": 20.0, "cores": 1.0})
		case "two cores":
			say(map[string]any{"us": 20_000.0, "cores": 1.9})
		case "fails":
			say(map[string]any{"error": "ValueError: no"})
		}
	}
}

func startFake(t *testing.T, mode string) (*Session, error) {
	t.Helper()
	t.Setenv("FAKE_PEER", mode)
	s, err := NumPy.Start(t.Context(), os.Args[0])
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return s, err
}

func TestMissing(t *testing.T) {
	for _, python := range []string{"no-such-python", os.Args[0]} {
		t.Setenv("FAKE_PEER", "missing")
		_, err := Torchdeq.Start(t.Context(), python)
		var missing *MissingError
		if !errors.As(err, &missing) {
			t.Fatalf("%s: error %v, want a MissingError", python, err)
		}
		for _, want := range []string{"torchdeq is not measured", python, "pip install", "torchdeq==0.1.0", "torch=="} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
	}
}

func TestSession(t *testing.T) {
	for mode, want := range map[string]string{
		"times": "", "dead": "out of memory", "mute": "for ever", "chatter": "hello", "fails": "ValueError: no", "two cores": "1.9 cores",
	} {
		t.Run(mode, func(t *testing.T) {
			s, err := startFake(t, mode)
			var us float64
			if err == nil {
				us, err = s.Gemm(1, 2, 3, 4)
			}
			if want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
				return
			}
			if err != nil || us != 20 {
				t.Errorf("%v µs, %v; want 20", us, err)
			}
			if line := s.String(); !strings.Contains(line, "numpy 9.9") {
				t.Errorf("%q lacks the version", line)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	got := environment([]string{"PATH=/bin", "OMP_NUM_THREADS=8", "OPENBLAS_CORETYPE=Haswell", "MKL_NUM_THREADS=4"})
	for _, want := range []string{"PATH=/bin", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%v lacks %s", got, want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%v: want seven settings", got)
	}
}

func TestPinned(t *testing.T) {
	for _, p := range []Peer{Torchdeq, JAX, NumPy, neurogym, firstNeurogym} {
		if got := p.pinned(); len(got) != len(p.packages) {
			t.Errorf("%s: %v for the packages %v", p.Name, got, p.packages)
		}
	}
}

// The scripts are Python.
func TestScriptsCompile(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	for _, name := range []string{"protocol.py", "torchdeq_peer.py", "jax_peer.py", "numpy_peer.py", "neurogym_peer.py"} {
		const check = "import ast, sys; ast.parse(open(sys.argv[1]).read())"
		if out, err := exec.Command(python, "-c", check, "scripts/"+name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// Where the peers are installed, their gradients are ours. ATTRACTOR_PYTHON names the
// interpreter that has them.
func TestCompare(t *testing.T) {
	python := os.Getenv("ATTRACTOR_PYTHON")
	if python == "" {
		python = "python3"
	}
	var sessions []*Session
	for _, p := range []Peer{Torchdeq, JAX} {
		s, err := p.Start(t.Context(), python)
		var missing *MissingError
		if errors.As(err, &missing) {
			t.Log(err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	shapes := []bench.Shape{{Batch: 4, Units: 32}}
	all, err := Compare(t.Context(), shapes, bench.Solvers, sessions, time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(bench.Solvers) {
		t.Fatalf("%d comparisons", len(all))
	}
	for _, c := range all {
		if !(c.Ours > 0) || c.Evals.Forward < 2 || c.Evals.Backward < 2 || len(c.Peers) != len(sessions) {
			t.Errorf("comparison %+v", c)
		}
		for _, e := range c.Peers {
			if !(e.US > 0) || e.Evals.Forward < 2 || e.Evals.Backward < 2 || e.OverOurs != e.US/c.Ours {
				t.Errorf("%s: %+v", c.Name, e)
			}
		}
	}
	var table strings.Builder
	if err := Write(&table, all); err != nil || strings.Count(table.String(), "\n") != 1+len(all)*len(sessions) {
		t.Errorf("table %v:\n%s", err, &table)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(ctx, Shapes[:1], bench.Solvers[:1], nil, time.Second, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

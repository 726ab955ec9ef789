package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"attractor/train"
	"attractor/train/compare"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"attractor": func() { Main(train.Ours[float32](), train.Ours[float64]()) },
		"mine":      func() { Main(mine[float32](), mine[float64]()) },
		"full":      full,
	})
}

// full is the program with a full device as its standard output.
func full() {
	out, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	os.Stdout = out
	Main(train.Ours[float32](), train.Ours[float64]())
}

// TestScripts runs testdata/script/*.txtar, which have these commands of our own:
//
//	exits CODE COMMAND...   runs a command and wants that exit code
//	json PATH[=VALUE]...    wants the last standard output to be one JSON object that has
//	                        these entries, such as test.accuracy, or status=done
//	await FILE              waits until a file is there and not empty
//	damage FILE OFFSET      flips a bit; an offset from the end is negative
//	cut FILE SIZE           cuts a file off
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "json": hasJSON, "await": await, "damage": damage, "cut": cut,
		},
		Condition: func(name string) (bool, error) {
			if name != "hangup" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return !signal.Ignored(syscall.SIGHUP), nil // as it is by nohup, also in what is started
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, expected %s", code, want)
	}
}

func hasJSON(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var root map[string]any
	ts.Check(d.Decode(&root))
	if d.More() {
		ts.Fatalf("more than one JSON object")
	}
	for _, arg := range args {
		path, want, hasValue := strings.Cut(arg, "=")
		var at any = root
		for key := range strings.SplitSeq(path, ".") {
			var ok bool
			switch v := at.(type) {
			case map[string]any:
				at, ok = v[key]
			case []any:
				if i, err := strconv.Atoi(key); err == nil && i < len(v) {
					at, ok = v[i], true
				}
			}
			if !ok {
				ts.Fatalf("no %s", path)
			}
		}
		if got := fmt.Sprint(at); hasValue && got != want {
			ts.Fatalf("%s is %s, expected %s", path, got, want)
		}
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	for {
		if info, err := os.Stat(ts.MkAbs(args[0])); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o666))
}

func cut(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), int64(size)))
}

// run runs the program in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	p := &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: &out, stderr: &log}
	code = p.run(t.Context(), args)
	return code, out.String(), log.String()
}

// TestInterruptedAtOnce interrupts commands before they begin.
func TestInterruptedAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, line := range []string{"doctor", "gradcheck --task blobs --set model.units=4", "bench cell", "bench --solvers", "reproduce zhu2024/fig3 --out " + filepath.Join(t.TempDir(), "run")} {
		var out, log bytes.Buffer
		p := &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: &out, stderr: &log}
		if code := p.run(ctx, strings.Fields(line)); code != exitInterrupted || !strings.Contains(log.String(), "interrupted") {
			t.Errorf("%s: exit code %d, %q", line, code, log.String())
		}
	}
}

// TestCompareResume takes away the result and some trials of a comparison, as a kill would
// have, and continues it.
func TestCompareResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	result := func(args ...string) (r compare.Result) {
		t.Helper()
		code, stdout, stderr := run(t, append(args, "--json")...)
		if code != exitDone {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole := result("compare", "--task", "blobs", "--set", "task.train=64", "--set", "model.units=8", "--epochs", "2", "--rules", "implicit,jfb", "--seeds", "1,2", "--out", dir)
	kept := filepath.Join(dir, "trials", "all-trained-implicit-s1.json")
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	mark := bytes.Replace(text, []byte(`"peak_bytes": `), []byte(`"peak_bytes": 1`), 1)
	mark = regexp.MustCompile(`,\s*"sha256": "\w+"`).ReplaceAll(mark, nil) // as an earlier version wrote it
	for _, file := range []string{"result.json", "report.html", "trials/all-trained-jfb-s2.json", "trials/credit-critical-implicit-s1.json"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	again := result("compare", "--resume", dir)
	sameNumbers := cmp.Comparer(func(a, b train.Number) bool { return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) })
	ignored := cmp.Options{cmpopts.EquateNaNs(), sameNumbers, cmpopts.IgnoreFields(compare.Trial{}, "WallS"),
		cmpopts.IgnoreFields(compare.Row{}, "WallS"), cmpopts.IgnoreFields(compare.Result{}, "Environment")}
	if d := cmp.Diff(whole, again, ignored); d != "" {
		t.Errorf("another result after --resume (-whole +continued):\n%s", d)
	}
	if err := os.WriteFile(kept, mark, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "result.json")); err != nil {
		t.Fatal(err)
	}
	marked := result("compare", "--resume", dir)
	if a, b := whole.Settings[0].Rules[0].Trials[0].PeakBytes, marked.Settings[0].Rules[0].Trials[0].PeakBytes; a == b {
		t.Error("a trial that had ended was run again")
	}
}

// TestEveryPart chooses each part that is listed, which compiles its options into a
// configuration.
func TestEveryPart(t *testing.T) {
	p := &program{parts32: train.Ours[float32](), parts64: train.Ours[float64]()}
	for _, k := range p.kinds() {
		for _, e := range k.parts {
			set := k.choose + "=" + e.name
			t.Run(set, func(t *testing.T) {
				if k.choose != "" { // an experiment is no part of a configuration
					code, stdout, stderr := run(t, "train", "--print-config", "--set", set)
					if code != exitDone || !strings.Contains(stdout, e.name) {
						t.Errorf("exit code %d: %s", code, stderr)
					}
				}
				if code, stdout, stderr := run(t, "help", e.name); code != exitDone || !strings.Contains(stdout, e.doc) {
					t.Errorf("help: exit code %d: %s", code, stderr)
				}
			})
		}
	}
}

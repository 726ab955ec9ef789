package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"attractor/internal/options"
	"attractor/train"
)

// sizes are numbers that no option should take in silence; short tests have the first.
var sizes = []string{"9223372036854775807", "-1", "1000000000", "4611686018427387904"}

// Every integer option of every part refuses a size that it cannot have, or lives with it: no panic, and no
// memory that was not asked for. A process with little memory tries them, and says which it is at.
func TestSizes(t *testing.T) {
	if mode := os.Getenv("SIZES_CHILD"); mode != "" {
		if mode == "short" {
			sizes = sizes[:1]
		}
		trySizes()
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("ulimit -v is of Linux")
	}
	cmd := exec.Command("sh", "-c", `ulimit -v 4000000 && exec "$0" -test.run '^TestSizes$'`, os.Args[0])
	mode := "all"
	if testing.Short() {
		mode = "short"
	}
	cmd.Env = append(os.Environ(), "SIZES_CHILD="+mode)
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "FAULT") || err != nil && strings.HasPrefix(line, "fatal error") {
			t.Errorf("%s\nafter %s", line, lines[max(i-1, 0)])
		}
	}
	if err != nil || !slices.Contains(lines, "all were tried") {
		t.Errorf("%v: the last was %s", err, lines[max(0, len(lines)-3):])
	}
}

func trySizes() {
	small := []string{"model.units=4", "train.batch=4", "train.epochs=1"}
	p := train.Ours[float64]()
	try := func(part string, value any, sets ...string) {
		if !slices.ContainsFunc(sets, func(s string) bool { return strings.HasPrefix(s, "task=") }) {
			sets = append(sets, "task=blobs", "task.train=8", "task.test=4")
		}
		for _, f := range options.Fields(value) {
			if f.Type != "integer" {
				continue
			}
			for _, size := range sizes {
				trySize(p, append(append(slices.Clone(small), sets...), fmt.Sprintf("%s.%s=%s", part, f.Key, size)))
			}
		}
	}
	for _, e := range p.Tasks.Entries() {
		try("task", e.Value, "task="+e.Name)
	}
	for _, e := range p.Models.Entries() {
		try("model", e.Value, "model="+e.Name)
	}
	for _, e := range p.Rules.Entries() {
		try("rule", e.Value, "rule="+e.Name)
	}
	for _, e := range p.Solvers.Entries() {
		try("solver", e.Value, "solver="+e.Name)
	}
	for _, e := range p.Linear.Entries() {
		try("backward", e.Value, "backward="+e.Name)
	}
	for _, e := range p.Optimizers.Entries() {
		try("optimizer", e.Value, "optimizer="+e.Name)
	}
	var c train.Config[float64]
	try("solver", c.Forward)
	try("backward", c.Adjoint)
	try("regularizer", c.Regularizer)
	try("flossing", c.Flossing, "task=flip-flop", "rule=bptt", "flossing.times=1")
	try("train", c.Train)
	tryFlags()
	fmt.Println("all were tried")
}

// commands are command lines that are short work, to which a flag is added.
var commands = map[string]string{
	"compare":   "compare --rules implicit --settings all-trained --seeds 1 --set task=blobs --set task.train=8 --set task.test=4 --set model.units=4 --epochs 1 -q --out OUT",
	"train":     "train --set task=blobs --set task.train=8 --set task.test=4 --set model.units=4 --epochs 1 -q --out OUT",
	"reproduce": "reproduce mastrogiuseppe2019/fig1e --quick -q --out OUT",
	"gradcheck": "gradcheck --set task=blobs --set task.train=8 --set task.test=4 --set model.units=4 -q",
	"solve":     "solve testdata/networks/network.npz -q",
	"analyze":   "analyze testdata/networks/network.npz -q --starts 1 --basins 4 --steps 100",
	"dump":      "data dump blobs --out OUT.npz -q",
	"gradient":  "gradient --rule implicit -q",
}

func tryFlags() {
	dir, err := os.MkdirTemp("", "sizes-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program := func(w io.Writer) *program {
		return &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: io.Discard, stderr: w}
	}
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains([]string{"int", "uint64", "int64", "uint", "seeds"}, f.Value.Type()) && f.Name != "epochs" {
				return
			}
			line, known := commands[c.Name()]
			if !known {
				fmt.Printf("FAULT no command line to try --%s of %s\n", f.Name, c.Name())
			}
			for _, size := range sizes {
				n++
				args := strings.Fields(strings.ReplaceAll(line, "OUT", filepath.Join(dir, fmt.Sprint(n))))
				args = append(args, "--"+f.Name+"="+size)
				fmt.Println(c.Name(), args[len(args)-1])
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				var log strings.Builder
				code := program(&log).run(ctx, args)
				cancel()
				if strings.Contains(log.String(), "a fault of the program") {
					fmt.Println("FAULT", log.String())
				}
				if os.Getenv("SIZES_CHILD") == "verbose" {
					fmt.Printf("    code %d %s\n", code, strings.ReplaceAll(log.String(), "\n", " "))
				}
			}
		})
	}
	walk(program(io.Discard).root())
}

// trySize makes a run and a step of it.
func trySize(p train.Parts[float64], sets []string) {
	fmt.Println(strings.Join(sets[len(sets)-2:], " "))
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("FAULT panic:", r)
		}
	}()
	c, err := train.Read(p, "test", nil, sets)
	if err == nil {
		var t *train.Trainer[float64]
		if t, err = train.New(c, p); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second/4)
			defer cancel()
			_, _, err = t.Next(ctx)
		}
	}
	if os.Getenv("SIZES_CHILD") == "verbose" {
		fmt.Println("   ", err)
	}
}

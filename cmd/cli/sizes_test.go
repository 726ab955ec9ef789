package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"attractor/internal/options"
	"attractor/train"
)

// sizes are numbers that no option should take in silence.
var sizes = []string{"0", "-1", "1000000000", "2147483648", "4611686018427387904", "9223372036854775807"}

// Every integer option of every part refuses a size that it cannot have, or lives with it: no panic, and no
// memory that was not asked for. A process with little memory tries them, and says which it is at.
func TestSizes(t *testing.T) {
	if os.Getenv("SIZES_CHILD") != "" {
		trySizes()
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("ulimit -v is of Linux")
	}
	cmd := exec.Command("sh", "-c", `ulimit -v 4000000 && exec "$0" -test.run '^TestSizes$'`, os.Args[0])
	cmd.Env = append(os.Environ(), "SIZES_CHILD=1")
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
	fmt.Println("all were tried")
}

// trySize makes a run and a step of it.
func trySize(p train.Parts[float64], sets []string) {
	fmt.Println(strings.Join(sets[len(sets)-2:], " "))
	begun := time.Now()
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("FAULT panic:", r)
		}
		if d := time.Since(begun); d > 10*time.Second {
			fmt.Println("FAULT took", d)
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
	if os.Getenv("SIZES_CHILD") == "2" {
		fmt.Println("   ", time.Since(begun).Round(time.Millisecond), err)
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"attractor/internal/budget"
	"attractor/internal/engine"
	"attractor/internal/kernels"
	"attractor/train"
)

func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "check that the program works on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context()) },
	}
	p.jsonFlag(cmd)
	return cmd
}

// finding is one line of doctor.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// diagnosis is the output of doctor --json.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

func (p *program) doctor(ctx context.Context) error {
	e := train.ReadEnvironment(0)
	d := diagnosis{OK: true}
	add := func(name string, err error, format string, args ...any) {
		f := finding{Name: name, OK: err == nil, Detail: fmt.Sprintf(format, args...)}
		if err != nil {
			d.OK = false
			f.Detail = strings.TrimPrefix(f.Detail+": "+err.Error(), ": ")
		}
		d.Checks = append(d.Checks, f)
	}
	add("program", nil, "%s %s, %s, %s", p.name, e.Program, e.Go, e.OS)
	add("modules", modules(e), "gorgonia %s, tensor %s, gonum %s",
		e.Modules["gorgonia.org/gorgonia"], e.Modules["gorgonia.org/tensor"], e.Modules["gonum.org/v1/gonum"])
	cpu := e.CPU
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	add("processor", nil, "%s, %d cores, GOMAXPROCS %d", cpu, e.Cores, e.Maxprocs)
	add("instructions", kernels.StartError(), "%v in use, %v offered", kernels.Current(), kernels.Detected())
	add("engine", engine.SelfCheck(), "reads the graphs of gorgonia as expected")
	add("gradient", p.tinyGradient(ctx), "of a small network against finite differences")
	add("run folder", writable("runs"), "runs/ can be written")
	if free, limit := budget.Free(); limit != "" {
		add("memory", nil, "%s are left by %s", budget.Bytes(float64(free)), limit)
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	if p.json {
		if err := p.printJSON(d); err != nil {
			return err
		}
	} else {
		for _, f := range d.Checks {
			mark := "ok"
			if !f.OK {
				mark = "WRONG"
			}
			fmt.Fprintf(p.stdout, "%-6s %-13s %s\n", mark, f.Name, f.Detail)
		}
	}
	if !d.OK {
		return errors.New("something is wrong: see the lines marked WRONG")
	}
	if !p.json {
		fmt.Fprintln(p.stdout, "OK")
	}
	return nil
}

// wanted are the versions whose behaviour the engine knows.
var wanted = map[string]string{"gorgonia.org/gorgonia": "v0.9.18", "gorgonia.org/tensor": "v0.9.24"}

func modules(e train.Environment) error {
	for path, version := range wanted {
		if found := e.Modules[path]; found != "" && found != version {
			return fmt.Errorf("expected %s %s, found %s", path, version, found)
		}
	}
	return nil
}

// tinyGradient checks the gradient of a network of a few units.
func (p *program) tinyGradient(ctx context.Context) error {
	c, err := train.Read(p.parts64, "doctor", nil, []string{"task=blobs", "model=rate", "model.units=6", "rule=implicit"})
	if err != nil {
		return err
	}
	r, err := train.GradCheck(ctx, c, p.parts64)
	if err != nil {
		return err
	}
	if !r.Holds {
		return errCheck
	}
	return nil
}

// writable reports whether files can be made in dir; it makes dir if it can.
func writable(dir string) error {
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if missing != nil {
		os.Remove(dir)
	}
	return err
}

package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"attractor/deq"
	"attractor/internal/config"
	"attractor/internal/regular"
	"attractor/train"
)

// configFlags are the flags that give a configuration.
type configFlags struct {
	file  string
	saved []byte            // contents of the file that is read where none is given
	sets  []string          // in the order of the command line
	flags map[string]string // the flag that a set came from, where it was not --set
	input []byte            // what the standard input has given
}

// shortcuts are flags for common options.
var shortcuts = []struct{ flag, path, doc string }{
	{"task", "task", "what to learn"},
	{"model", "model", "the cell"},
	{"rule", "rule", "how gradients are got"},
	{"solver", "solver", "how the fixed point is found"},
	{"seed", "train.seed", "seed of everything random"},
	{"epochs", "train.epochs", "passes over the training data"},
	{"batch", "train.batch", "samples per step"},
	{"lr", "optimizer.lr", "learning rate"},
	{"engine", "train.engine", "executor of the graphs: fast or tape"},
}

// add gives a command --config, --set and the shortcuts but for those in without.
func (c *configFlags) add(p *program, cmd *cobra.Command, without ...string) {
	c.flags = map[string]string{}
	f := cmd.Flags()
	f.StringVar(&c.file, "config", "", "configuration `FILE` (YAML); - is the standard input")
	f.Var(setFlag{c, "", ""}, "set", "an option, as `section.key=value`; may be repeated (see train --print-config)")
	must(cmd.RegisterFlagCompletionFunc("set", p.completeSet))
next:
	for _, s := range shortcuts {
		for _, w := range without {
			if s.flag == w {
				continue next
			}
		}
		f.Var(setFlag{c, s.flag, s.path}, s.flag, fmt.Sprintf("%s: `%s` for --set %s=", s.doc, strings.ToUpper(s.flag), s.path))
		if s.flag == s.path {
			must(cmd.RegisterFlagCompletionFunc(s.flag, p.completeParts(s.path)))
		}
	}
}

// setFlag is --set, or a flag for one option.
type setFlag struct {
	c          *configFlags
	flag, path string
}

func (s setFlag) String() string { return "" }
func (s setFlag) Type() string   { return "value" }
func (s setFlag) Set(v string) error {
	if lr, err := strconv.ParseFloat(v, 64); s.flag == "lr" && err == nil && (lr < 0 || math.IsInf(lr, 1)) {
		return fmt.Errorf("expected a finite learning rate of at least 0, found %s", v)
	}
	if s.flag != "" {
		v = s.path + "=" + v
		s.c.flags[v] = s.flag
	}
	s.c.sets = append(s.c.sets, v)
	return nil
}

// data is the file and its name: --config, or else the file given.
func (c *configFlags) data(otherwise string) (source string, data []byte, err error) {
	source = c.file
	if source == "" {
		source = otherwise
	}
	switch {
	case source == "":
		return "defaults", nil, nil
	case c.file == "" && c.saved != nil:
		data = c.saved
	case source == "-":
		if c.input == nil {
			c.input, err = regular.ReadAll("the standard input", os.Stdin, config.MaxSize)
		}
		data, source = c.input, "the standard input"
	default:
		data, err = regular.Read(source, config.MaxSize)
	}
	if err != nil {
		return source, nil, usagef("configuration: %w", err)
	}
	return source, data, nil
}

// read reads a configuration in one number type.
func read[T deq.Float](c *configFlags, parts train.Parts[T], otherwise string) (train.Config[T], error) {
	source, data, err := c.data(otherwise)
	if err != nil {
		return train.Config[T]{}, err
	}
	out, err := train.Read(parts, source, data, c.sets)
	if err != nil {
		c.name(err)
		return out, usage(err)
	}
	return out, nil
}

// name puts the name of a flag in place of --set in errors about its value.
func (c *configFlags) name(err error) {
	var e *config.Error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			c.name(one)
		}
		return
	}
	if !errors.As(err, &e) || e.Source != "--set" {
		return
	}
	text, _, _ := strings.Cut(e.Excerpt, "\n")
	if flag, ok := c.flags[text]; ok {
		e.Source, e.Path, e.Excerpt = "--"+flag, "", ""
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"attractor/internal/catalog"
	"attractor/internal/config"
	"attractor/internal/options"
)

// model is a kind of part, as models, solvers or rules are.
type model interface{ Cell() }

type rate struct {
	Units      int     `default:"64" doc:"number of units N"`
	Activation string  `default:"tanh" choices:"tanh,relu,softplus" doc:"φ"`
	Gain       float64 `default:"0.9" doc:"standard deviation of W times √N"`
	Bias       float64 `doc:"initial bias"`
}

type gru struct {
	Units int     `default:"64" doc:"number of units N"`
	Leak  float32 `default:"0.1"`
}

type linear struct{}

func (rate) Cell()   {}
func (gru) Cell()    {}
func (linear) Cell() {}

var errGain = errors.New("gain must be positive")

func (m rate) Validate() error {
	if m.Gain <= 0 {
		return errGain
	}
	return nil
}

var models = catalog.Must("model",
	catalog.Entry[model]{Name: "rate", Doc: "rate network\nz = φ(Wz + Ux + b)", Value: rate{}},
	catalog.Entry[model]{Name: "gru", Doc: "gated recurrent unit", Value: gru{}},
	catalog.Entry[model]{Name: "gru-slow", Doc: "GRU that leaks little", Value: gru{Leak: 0.01}},
	catalog.Entry[model]{Name: "linear", Doc: "linear network", Value: linear{}},
)

type settings struct {
	Epochs int           `default:"20" doc:"passes over the data"`
	Batch  int8          `default:"32"`
	LR     float64       `default:"1e-3" doc:"learning rate"`
	Decay  float64       `doc:"weight decay"`
	Clip   float32       `default:"1"`
	Seed   uint64        `doc:"of every random number"`
	Resume bool          `doc:"continue a run"`
	Out    string        `doc:"directory"`
	Every  time.Duration `default:"10m" doc:"between checkpoints"`
	Betas  []float64     `default:"0.9,0.999"`
	Tags   []string
}

// cfg is a whole configuration.
type cfg struct {
	Model  config.Chosen[model]
	Second config.Chosen[model]
	Train  settings
}

func (c *cfg) sections() []config.Section {
	return []config.Section{
		config.Choice("model", "the network", models, &c.Model),
		config.Choice("second", "", models, &c.Second),
		config.Struct("train", "the training loop", &c.Train),
	}
}

func chosen(name string, m model) config.Chosen[model] {
	return config.Chosen[model]{Name: name, Value: m}
}

func start() *cfg {
	return &cfg{Model: config.Chosen[model]{Name: "rate"}, Second: config.Chosen[model]{Name: "linear"}}
}

// defaults is what no file and no --set give, changed by edit.
func defaults(edit func(*cfg)) *cfg {
	c := &cfg{
		Model:  chosen("rate", rate{Units: 64, Activation: "tanh", Gain: 0.9}),
		Second: chosen("linear", linear{}),
		Train:  settings{Epochs: 20, Batch: 32, LR: 1e-3, Clip: 1, Every: 10 * time.Minute, Betas: []float64{0.9, 0.999}},
	}
	if edit != nil {
		edit(c)
	}
	return c
}

func Example() {
	c := start()
	file := "model: {name: rate, units: 128}\ntrain:\n  epochs: 5\n"
	err := config.Read("run.yaml", []byte(file), []string{"train.lr=0.01"}, c.sections()...)
	fmt.Println(err, c.Model.Name, c.Model.Value.(rate).Units, c.Train.Epochs, c.Train.LR)

	err = config.Read("run.yaml", []byte("model:\n  name: rate\n  unist: 128\n"), []string{"train.epochs=3.5"}, c.sections()...)
	fmt.Println(err)
	// Output:
	// <nil> rate 128 5 0.01
	// run.yaml:3:3: model.unist: unknown option "unist" of the model "rate" (did you mean "units"?)
	//       unist: 128
	//       ^
	// --set: train.epochs: expected an integer, found 3.5
	//     train.epochs=3.5
	//                  ^
}

func ExampleWrite() {
	c := defaults(func(c *cfg) { c.Model.Value = rate{Units: 128} })
	err := config.Write(os.Stdout,
		config.Choice("model", "the network", models, &c.Model),
		config.Struct("train", "the training loop", &c.Train))
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// # the network
	// model:
	//   name: rate        # rate network; one of rate, gru, gru-slow, linear
	//   units: 128        # number of units N; default 64
	//   activation: tanh  # φ; one of tanh, relu, softplus
	//   gain: 0.9         # standard deviation of W times √N
	//   bias: 0           # initial bias
	//
	// # the training loop
	// train:
	//   epochs: 20           # passes over the data
	//   batch: 32
	//   lr: 0.001            # learning rate
	//   decay: 0             # weight decay
	//   clip: 1
	//   seed: 0              # of every random number
	//   resume: false        # continue a run
	//   out: ""              # directory
	//   every: 10m0s         # between checkpoints
	//   betas: [0.9, 0.999]
	//   tags: []
}

func TestRead(t *testing.T) {
	tests := map[string]struct {
		file string
		sets []string
		edit func(*cfg)
	}{
		"empty":          {},
		"comment":        {file: "# nothing\n"},
		"empty document": {file: "---\n"},
		"byte order":     {file: "\ufefftrain: {epochs: 3}", edit: func(c *cfg) { c.Train.Epochs = 3 }},
		"line ends":      {file: "train:\r\n  epochs: 3\r\n", edit: func(c *cfg) { c.Train.Epochs = 3 }},
		"no options":     {file: "train: {}\nmodel: {}\n"},
		"short":          {file: "model: gru", edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 64, Leak: 0.1}) }},
		"preset":         {file: "model: gru-slow", edit: func(c *cfg) { c.Model = chosen("gru-slow", gru{Units: 64, Leak: 0.01}) }},
		"long": {file: "model:\n  units: 8\n  name: gru\n",
			edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 8, Leak: 0.1}) }},
		"default part": {file: "model: {units: 8}",
			edit: func(c *cfg) { c.Model.Value = rate{Units: 8, Activation: "tanh", Gain: 0.9} }},
		"numbers": {file: "train: {epochs: 1e3, batch: 0x10, lr: 1e-05, decay: .5, clip: 3, seed: 18446744073709551615}",
			edit: func(c *cfg) {
				c.Train.Epochs, c.Train.Batch, c.Train.LR, c.Train.Decay, c.Train.Clip, c.Train.Seed = 1000, 16, 1e-5, 0.5, 3, math.MaxUint64
			}},
		"zero is the default": {file: "train: {decay: 0, seed: 0, resume: false, out: '', tags: []}"},
		"text": {file: "train: {out: 2024-01-31, tags: [a, 'b', 3, yes, \"null\"], every: '90s', resume: true}",
			edit: func(c *cfg) {
				c.Train.Out, c.Train.Tags, c.Train.Every, c.Train.Resume = "2024-01-31", []string{"a", "b", "3", "yes", "null"}, 90*time.Second, true
			}},
		"block text":     {file: "train:\n  out: >-\n    a\n    b\n", edit: func(c *cfg) { c.Train.Out = "a b" }},
		"set":            {file: "train: {epochs: 3}", sets: []string{"train.epochs=4", "train.epochs=5"}, edit: func(c *cfg) { c.Train.Epochs = 5 }},
		"set a list":     {sets: []string{"train.betas=[0.5, 1e-1]"}, edit: func(c *cfg) { c.Train.Betas = []float64{0.5, 0.1} }},
		"set, spaces":    {sets: []string{" train.out =a=b "}, edit: func(c *cfg) { c.Train.Out = "a=b " }},
		"set a part":     {file: "model: rate", sets: []string{"model=gru"}, edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 64, Leak: 0.1}) }},
		"set its name":   {file: "model: rate", sets: []string{"model.name=gru"}, edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 64, Leak: 0.1}) }},
		"set, then part": {sets: []string{"model.leak=0.5", "model=gru"}, edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 64, Leak: 0.5}) }},
		"a new part keeps common options": {
			file: "model: {name: rate, units: 8}", sets: []string{"model=gru"},
			edit: func(c *cfg) { c.Model = chosen("gru", gru{Units: 8, Leak: 0.1}) }},
		"set a section drops the file's": {
			file: "model: {name: rate, gain: 2}\ntrain: {epochs: 3, decay: 1}",
			sets: []string{"model={name: gru}", "train={epochs: 4}", "model.units=8"},
			edit: func(c *cfg) {
				c.Model, c.Train.Epochs = chosen("gru", gru{Units: 8, Leak: 0.1}), 4
			}},
		"what is replaced is not looked at": {
			file: "model: {name: rat, units: x}\ntrain: {epochs: }", sets: []string{"train.epochs=4", "model=gru", "model.units=8"},
			edit: func(c *cfg) { c.Model, c.Train.Epochs = chosen("gru", gru{Units: 8, Leak: 0.1}), 4 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := start()
			if err := config.Read("run.yaml", []byte(tt.file), tt.sets, got.sections()...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(defaults(tt.edit), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadKeepsWhatTheDestinationHolds(t *testing.T) {
	c := start()
	c.Model.Value = rate{Gain: 2}
	c.Train.Epochs = 7
	if err := config.Read("run.yaml", []byte("model: {units: 8}\ntrain: {lr: 1}"), nil, c.sections()...); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Model.Value, (rate{Units: 8, Activation: "tanh", Gain: 2}); got != want {
		t.Errorf("model %+v, want %+v", got, want)
	}
	if c.Train.Epochs != 7 || c.Train.LR != 1 {
		t.Errorf("train %+v", c.Train)
	}
	if err := config.Read("run.yaml", nil, []string{"model=gru-slow"}, c.sections()...); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Model.Value, (gru{Units: 64, Leak: 0.01}); got != want {
		t.Errorf("another model %+v, want %+v", got, want)
	}
	for _, e := range models.Entries() {
		if e.Name == "rate" && e.Value != (rate{}) {
			t.Errorf("the catalogue has changed: %+v", e.Value)
		}
	}
}

// TestReadErrors lists each problem as its message without the excerpt.
func TestReadErrors(t *testing.T) {
	tests := map[string]struct {
		file string
		sets []string
		want []string
	}{
		"unknown section":        {"modle: gru", nil, []string{`run.yaml:1:1: unknown section "modle" (did you mean "model"?)`}},
		"unknown section, none":  {"zzz: 3", nil, []string{`run.yaml:1:1: unknown section "zzz" (known: model, second, train)`}},
		"option outside":         {"epochs: 3", nil, []string{`run.yaml:1:1: unknown section "epochs" (did you mean "train.epochs"?)`}},
		"unknown key":            {"train:\n  epocs: 3", nil, []string{`run.yaml:2:3: train.epocs: unknown option "epocs" (did you mean "epochs"?)`}},
		"unknown option":         {"model: {activaton: relu}", nil, []string{`run.yaml:1:9: model.activaton: unknown option "activaton" of the model "rate" (did you mean "activation"?)`}},
		"unknown option, none":   {"model: {zzz: 1}", nil, []string{`run.yaml:1:9: model.zzz: unknown option "zzz" of the model "rate" (known: units, activation, gain, bias)`}},
		"no options at all":      {"model: {name: linear, zzz: 1}", nil, []string{`run.yaml:1:23: model.zzz: unknown option "zzz" of the model "linear": it has none`}},
		"another part's option":  {"model: {name: gru, gain: 1}", nil, []string{`run.yaml:1:20: model.gain: unknown option "gain" of the model "gru": it belongs to rate`}},
		"unknown part":           {"model: {name: grru, zzz: 1}", nil, []string{`run.yaml:1:15: model: unknown model "grru" (did you mean "gru"?)`}},
		"unknown part, none":     {"model: 17", nil, []string{`run.yaml:1:8: model: unknown model "17" (known: rate, gru, gru-slow, linear)`}},
		"unknown choice":         {"model: {activation: rleu}", nil, []string{`run.yaml:1:21: model.activation: expected one of tanh, relu, softplus, found "rleu" (did you mean "relu"?)`}},
		"float for an integer":   {"train: {epochs: 3.5}", nil, []string{`run.yaml:1:17: train.epochs: expected an integer, found 3.5`}},
		"text for a number":      {"train: {lr: abc}", nil, []string{`run.yaml:1:13: train.lr: expected a number, found "abc"`}},
		"quoted number":          {"train: {lr: '3'}", nil, []string{`run.yaml:1:13: train.lr: expected a number, found text: leave out the quotes of "3"`}},
		"list for a scalar":      {"train: {lr: [1]}", nil, []string{`run.yaml:1:13: train.lr: expected a number, found a list`}},
		"mapping for a scalar":   {"train: {out: {a: 1}}", nil, []string{`run.yaml:1:14: train.out: expected text, found a mapping`}},
		"scalar for a list":      {"train: {tags: a}", nil, []string{`run.yaml:1:15: train.tags: expected a list of texts, found "a" (did you mean "[a]"?)`}},
		"item of a list":         {"train: {betas: [0.5, x]}", nil, []string{`run.yaml:1:22: train.betas: expected a number, found "x"`}},
		"null in a list":         {"train: {betas: [0.5, ~]}", nil, []string{`run.yaml:1:22: train.betas: expected a value, found none: leave the key out for the default`}},
		"list in a list":         {"train: {betas: [0.5, [1]]}", nil, []string{`run.yaml:1:22: train.betas: expected a list of numbers, found a list in it`}},
		"number like 010":        {"train: {lr: 010, clip: 00.5}", nil, []string{`run.yaml:1:13: train.lr: expected a number without leading zeros (0o10 is octal), found 010 (did you mean "10"?)`, `run.yaml:1:24: train.clip: expected a number without leading zeros (0o10 is octal), found 00.5 (did you mean "0.5"?)`}},
		"integer like 010":       {"train: {epochs: -010}", nil, []string{`run.yaml:1:17: train.epochs: expected an integer without leading zeros (0o10 is octal), found -010 (did you mean "-10"?)`}},
		"TRUE":                   {"train: {resume: TRUE, lr: TRUE, epochs: TRUE}", []string{"train.resume=True"}, []string{`run.yaml:1:27: train.lr: expected a number, found "TRUE"`, `run.yaml:1:41: train.epochs: expected an integer, found "TRUE"`, `--set: train.resume: expected true or false, found "True" (did you mean "true"?)`}},
		"foreign words":          {"\"m\\e[31m\": 1\ntrain: {\"l\\e[2J\": 1}", nil, []string{`run.yaml:1:1: unknown section "m\x1b[31m" (known: model, second, train)`, `run.yaml:2:9: "train.l\x1b[2J": unknown option "l\x1b[2J" (known: epochs, batch, lr, decay, clip, seed, resume, out, every, betas, tags)`}},
		"boolean":                {"train: {resume: yes}", nil, []string{`run.yaml:1:17: train.resume: expected true or false, found "yes" (did you mean "true"?)`}},
		"scalar for settings":    {"train: 3", nil, []string{`run.yaml:1:8: train: expected a mapping of options, found "3"`}},
		"list for a part":        {"model: [gru]", nil, []string{`run.yaml:1:8: model: expected the name of a model or a mapping of name and options, found a list`}},
		"list for a name":        {"model: {name: [gru]}", nil, []string{`run.yaml:1:15: model.name: expected the name of a model, found a list`}},
		"null":                   {"train:\n  epochs:\n  out: null\n", nil, []string{`run.yaml:2:10: train.epochs: expected a value, found none: leave the key out for the default`, `run.yaml:3:8: train.out: expected a value, found none: leave the key out for the default`}},
		"null section":           {"train:\nmodel: ~", nil, []string{`run.yaml:1:7: train: expected a value, found none: leave the key out for the default`, `run.yaml:2:8: model: expected a value, found none: leave the key out for the default`}},
		"null part":              {"model: {name: }", nil, []string{`run.yaml:1:15: model: expected a value, found none: leave the key out for the default`}},
		"null document":          {"~", nil, []string{`run.yaml:1:1: expected a value, found none: leave the key out for the default`}},
		"zero":                   {"train: {epochs: 0}", nil, []string{`run.yaml:1:17: train.epochs: 0 selects the default (20) and cannot be chosen: leave the key out or give another value`}},
		"empty list":             {"train: {betas: []}", nil, []string{`run.yaml:1:16: train.betas: an empty list selects the default (0.9,0.999) and cannot be chosen: leave the key out or give another value`}},
		"duplicate key":          {"train:\n  lr: 1\n  lr: 2", nil, []string{`run.yaml:3:3: train.lr: given twice, first in line 2`}},
		"duplicate section":      {"train: {}\n\ntrain: {}", nil, []string{`run.yaml:3:1: train: given twice, first in line 1`}},
		"alias":                  {"model: &m gru\nsecond: *m", nil, []string{`run.yaml:1:8: model: anchors and aliases are not supported: write the value out`, `run.yaml:2:9: second: anchors and aliases are not supported: write the value out`}},
		"merge key":              {"train: {<<: {lr: 1}}", nil, []string{`run.yaml:1:9: train: merge keys are not supported: write the options out`}},
		"unknown anchor":         {"train: *t", nil, []string{`run.yaml:1:8: unknown anchor 't' referenced`}},
		"tags":                   {"train: {lr: !!float 1, out: !x a}\nmodel: !!map {}", nil, []string{`run.yaml:1:13: train.lr: tags are not supported, found !!float`, `run.yaml:1:29: train.out: tags are not supported, found !x`, `run.yaml:2:8: model: tags are not supported, found !!map`}},
		"two documents":          {"train: {}\n---\nmodel: gru", nil, []string{`run.yaml:2:1: expected one document, found a second`}},
		"malformed":              {"train:\n  betas: [1, 2\n  lr: 3", nil, []string{`run.yaml:3:5: while parsing a flow sequence: did not find expected ',' or ']' (it begins in line 2)`}},
		"unfinished":             {"train:\n  betas: [1, 2\n", nil, []string{`run.yaml:2:10: while parsing a flow sequence: did not find expected ',' or ']'`}},
		"malformed mapping":      {"train: lr: 3", nil, []string{`run.yaml:1:10: mapping values are not allowed in this context`}},
		"tab":                    {"train:\n\tlr: 3", nil, []string{`run.yaml:2:1: while scanning for the next token: found character that cannot start any token: indent with spaces, not with tabs`}},
		"not a mapping":          {"- train", nil, []string{`run.yaml:1:1: expected a mapping of sections, found a list`}},
		"not a mapping, text":    {"hello", nil, []string{`run.yaml:1:1: expected a mapping of sections, found "hello"`}},
		"key is a list":          {"? [a]\n: 1", nil, []string{`run.yaml:1:3: expected a key, found a list`}},
		"not finite":             {"train: {lr: .nan, decay: -.inf, clip: nan}", nil, []string{`run.yaml:1:13: train.lr: expected a finite number, found .nan`, `run.yaml:1:26: train.decay: expected a finite number, found -.inf`, `run.yaml:1:39: train.clip: expected a finite number, found nan`}},
		"overflow":               {"train: {batch: 128, epochs: 9223372036854775808, clip: 1e39, seed: -1}", nil, []string{`run.yaml:1:16: train.batch: expected an integer from -128 to 127, found 128`, `run.yaml:1:29: train.epochs: expected an integer from -9223372036854775808 to 9223372036854775807, found 9223372036854775808`, `run.yaml:1:56: train.clip: expected a number within the range of float32, found 1e39`, `run.yaml:1:68: train.seed: expected an integer that is not negative, found -1`}},
		"not UTF-8":              {"train:\n  out: é\xff", nil, []string{`run.yaml:2:9: expected text in UTF-8, found the byte 0xff`}},
		"UTF-16":                 {"\xff\xfet\x00", nil, []string{`run.yaml:1:1: expected text in UTF-8, found the byte 0xff`}},
		"control character":      {"train: {out: \x1b[0m}", nil, []string{`run.yaml:1:14: expected text, found the control character U+001B`}},
		"Validate":               {"train: {}\nmodel: {gain: -1}", nil, []string{`run.yaml:2:1: model: gain must be positive`}},
		"set, Validate":          {"", []string{"model.gain=-1"}, []string{`--set: model: gain must be positive`}},
		"set without =":          {"", []string{"train.lr", "=3", "train.=3", ".lr=3"}, []string{`--set: expected section.key=value`, `--set: expected section.key=value`, `--set: expected section.key=value`, `--set: expected section.key=value`}},
		"set, unknown":           {"", []string{"modle=gru", "train.rl=3", "train.a.b=3"}, []string{`--set: unknown section "modle" (did you mean "model"?)`, `--set: train.rl: unknown option "rl" (did you mean "lr"?)`, `--set: train.a.b: unknown option "a.b" (known: epochs, batch, lr, decay, clip, seed, resume, out, every, betas, tags)`}},
		"set, no value":          {"", []string{"train.lr=", "train.lr= # a"}, []string{`--set: train.lr: expected a value, found none: leave the key out for the default`}},
		"set, malformed":         {"", []string{"train.betas=[1", "train.out=\xff"}, []string{`--set: while parsing a flow sequence: did not find expected ',' or ']'`, `--set: train.out: expected text in UTF-8, found "\xff"`}},
		"set a part, old option": {"model: {name: rate, gain: 2}", []string{"model=gru"}, []string{`run.yaml:1:21: model.gain: unknown option "gain" of the model "gru": it belongs to rate; to replace the section of the file use --set 'model={name: gru}'`}},
		"all together": {"train: {lr: x}\nmodel: {unit: 3}\nzzzz: 3", []string{"train.epochs=y", "model.gain=z"}, []string{
			`run.yaml:1:13: train.lr: expected a number, found "x"`,
			`run.yaml:2:9: model.unit: unknown option "unit" of the model "rate" (did you mean "units"?)`,
			`run.yaml:3:1: unknown section "zzzz" (known: model, second, train)`,
			`--set: train.epochs: expected an integer, found "y"`,
			`--set: model.gain: expected a number, found "z"`,
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := start()
			err := config.Read("run.yaml", []byte(tt.file), tt.sets, c.sections()...)
			var got []string
			for _, e := range problems(t, err) {
				line, _, _ := strings.Cut(e.Error(), "\n")
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(start(), c); diff != "" {
				t.Errorf("changed in spite of the error: %s", diff)
			}
		})
	}
}

func problems(t *testing.T, err error) []*config.Error {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error %v of type %T", err, err)
	}
	var list []*config.Error
	for _, e := range joined.Unwrap() {
		list = append(list, e.(*config.Error))
	}
	return list
}

func TestErrorHasItsData(t *testing.T) {
	c := start()
	err := config.Read("run.yaml", []byte("train:\n  ερ: 1\n  out: "+strings.Repeat("é", 300)+" : \t\n"), nil, c.sections()...)
	e := problems(t, err)[0]
	if e.Source != "run.yaml" || e.Line != 3 || e.Column != 309 || e.Err == nil {
		t.Errorf("%+v", e)
	}
	line, caret, _ := strings.Cut(e.Excerpt, "\n")
	if n := len([]rune(line)); n > 110 || []rune(line)[len(caret)-1] != ':' {
		t.Errorf("excerpt of %d characters:\n%s", n, e.Excerpt)
	}

	err = config.Read("run.yaml", nil, []string{"model.activation=tahn"}, c.sections()...)
	want := &config.Error{
		Source: "--set", Column: 18, Path: "model.activation",
		Msg:        `expected one of tanh, relu, softplus, found "tahn"`,
		Excerpt:    "model.activation=tahn\n                 ^",
		Suggestion: "tanh",
	}
	got := problems(t, err)[0]
	var unknown *catalog.UnknownError
	if !errors.As(err, &unknown) {
		t.Errorf("no *catalog.UnknownError in %v", err)
	}
	got.Err = nil
	if diff := cmp.Diff(want.Error(), got.Error()); diff != "" || got.Column != want.Column || got.Path != want.Path || got.Suggestion != want.Suggestion {
		t.Errorf("%+v, want %+v", got, want)
	}

	if err := config.Read("run.yaml", nil, []string{"model.gain=-2"}, c.sections()...); !errors.Is(err, errGain) {
		t.Errorf("%v is not the error of Validate", err)
	}
}

func TestManyProblems(t *testing.T) {
	var file strings.Builder
	for i := range 70 {
		fmt.Fprintf(&file, "key%d: 1\n", i)
	}
	list := problems(t, config.Read("run.yaml", []byte(file.String()), nil, start().sections()...))
	if got, want := list[len(list)-1].Error(), "run.yaml: and 50 more problems"; len(list) != 21 || got != want {
		t.Errorf("%d problems, the last %q, want %q", len(list), got, want)
	}
}

// Long files are refused, and of many problems only the first are looked into: what is wrong with the
// rest takes no longer than to read it.
func TestHostile(t *testing.T) {
	read := func(file string) error { return config.Read("run.yaml", []byte(file), nil, start().sections()...) }
	var unknown, options, deep strings.Builder
	options.WriteString("train:\n")
	for i := range 80000 {
		fmt.Fprintf(&unknown, "k%d: 1\n", i)
		fmt.Fprintf(&options, "  k%d: 1\n", i)
	}
	deep.WriteString(strings.Repeat("{a: ", 200000))
	for name, c := range map[string]struct{ file, want string }{
		"too long":         {strings.Repeat("#", config.MaxSize+1), "run.yaml: expected a configuration of at most 1048576 bytes, found 1048577"},
		"unknown sections": {unknown.String(), `run.yaml:20:1: unknown section "k19" (known: model, second, train)`},
		"unknown options":  {options.String(), `run.yaml:21:3: train.k19: unknown option "k19" (known: `},
		"the rest":         {options.String(), "and 79980 more problems"},
		"items":            {"train: {betas: [" + strings.Repeat("x,", 400000) + "]}", `run.yaml:1:17: train.betas: expected a number, found "x"`},
		"long key":         {"train: {" + strings.Repeat("k", 1000) + ": 1}", `unknown option "` + strings.Repeat("k", 60) + `…"`},
		"long value":       {"train: {lr: " + strings.Repeat("x", 1000000) + "}", `expected a number, found "` + strings.Repeat("x", 60) + `…"`},
		"long item":        {"train: {tags: " + strings.Repeat("x", 1000000) + "}", "(did you mean "},
		"long name":        {"model: " + strings.Repeat("x", 1000000), `unknown model "` + strings.Repeat("x", 60) + `…"`},
		"deep":             {deep.String(), "exceeded max depth"},
		"deep list":        {strings.Repeat("[", 1000000), "exceeded max depth"},
		"aliases":          {"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\ntrain: {betas: *c}", "anchors and aliases are not supported"},
		"anchors":          {"train: {betas: [" + strings.Repeat("&a 1,", 100000) + "]}", "anchors and aliases are not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %.3000v, want %q", err, c.want)
			}
			if n := len(err.Error()); n > 20000 {
				t.Errorf("a message of %d bytes", n)
			}
			if n := len(problems(t, err)); n > 21 {
				t.Errorf("%d problems are reported", n)
			}
		})
	}
}

// After --set text is taken as it stands, and what is written of it is read as the same.
func TestSetText(t *testing.T) {
	check := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, text string) {
		t.Helper()
		c := start()
		if err := config.Read("run.yaml", nil, []string{"train.out=" + text}, c.sections()...); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if c.Train.Out != text {
			t.Fatalf("%q is read as %q", text, c.Train.Out)
		}
		var file bytes.Buffer
		if err := config.Write(&file, c.sections()...); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again := start()
		if err := config.Read("run.yaml", file.Bytes(), nil, again.sections()...); err != nil {
			t.Fatalf("%q: %v\n%s", text, err, file.String())
		}
		if again.Train.Out != text {
			t.Fatalf("%q is written and read as %q", text, again.Train.Out)
		}
	}
	for _, text := range []string{
		"", " ", "data #2.npz", "a: b", "a:b", ": ", `"quoted"`, "'quoted'", `it's`, `back\slash`, "[a", "[a, b]", "{a: b}", "}", " leading", "trailing ", "~", "null", "Null",
		"yes", "no", "on", "off", "y", "N", "true", "TRUE", "False", "1", "010", "0x10", "1e3", ".5", ".nan", "-", "- a", "---", "...", "? a", "*alias", "&anchor", "!tag", "!!str a",
		"%", "@", "`", "|", ">", "<<", "=", ",", "#", "# c", "\ttab", "two\nlines", "\n", "line\r", "\x1b[31m", "\x00", "\x7f", "\u0085", "\u2028", "\ufeff", "\ufffd", "é", "日本語", "𝕊", "2001-01-01", "12:30:45", "a=b", "=", "1s",
	} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.String().Draw(t, "text")) })
	// Also the name of a part and the choice of an option are text; a section and numbers are YAML.
	c := start()
	if err := config.Read("run.yaml", nil, []string{"model.name=gru", "model.leak= 0.5 # half", "second={name: rate, activation: 'relu'}"}, c.sections()...); err != nil ||
		c.Model.Value != (gru{Units: 64, Leak: .5}) || c.Second.Value.(rate).Activation != "relu" {
		t.Errorf("%v: %+v", err, c)
	}
}

func TestPartWithoutDefault(t *testing.T) {
	var chosen config.Chosen[model]
	section := config.Choice("model", "", models, &chosen)
	for _, tt := range []struct{ source, file, want string }{
		{"run.yaml", "", "run.yaml: model: expected the name of a model (known: rate, gru, gru-slow, linear)"},
		{"", "", "model: expected the name of a model (known: rate, gru, gru-slow, linear)"},
		{"run.yaml", "model: {units: 3}", "run.yaml:1:1: model: expected the name of a model (known: rate, gru, gru-slow, linear)\n    model: {units: 3}\n    ^"},
	} {
		err := config.Read(tt.source, []byte(tt.file), nil, section)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	if err := config.Write(&bytes.Buffer{}, section); err == nil {
		t.Error("written without a part")
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	for name, edit := range map[string]func(*cfg){
		"NaN":    func(c *cfg) { c.Train.LR = math.NaN() },
		"Inf":    func(c *cfg) { c.Train.Betas = []float64{math.Inf(1)} },
		"UTF-8":  func(c *cfg) { c.Train.Out = "\xff" },
		"choice": func(c *cfg) { c.Model.Value = rate{Activation: "sin"} },
	} {
		t.Run(name, func(t *testing.T) {
			var value *options.ValueError
			if err := config.Write(&bytes.Buffer{}, defaults(edit).sections()...); !errors.As(err, &value) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestRoundTrip holds Read(Write(x)) == x for every x with its defaults filled in.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		finite := rapid.Float64().Filter(func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) })
		want := &cfg{
			Model: chosen("rate", options.WithDefaults(rate{
				Units:      rapid.Int().Draw(t, "units"),
				Activation: rapid.SampledFrom([]string{"", "tanh", "relu"}).Draw(t, "activation"),
				Gain:       math.Abs(finite.Draw(t, "gain")),
				Bias:       finite.Draw(t, "bias"),
			})),
			Second: rapid.SampledFrom([]config.Chosen[model]{
				chosen("gru", gru{Units: 3, Leak: 0.5}), chosen("gru-slow", gru{Units: 3, Leak: 0.3}), chosen("linear", linear{}),
			}).Draw(t, "second"),
			Train: options.WithDefaults(settings{
				Epochs: rapid.Int().Draw(t, "epochs"),
				Batch:  rapid.Int8().Draw(t, "batch"),
				LR:     finite.Draw(t, "lr"),
				Clip:   rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "clip"),
				Seed:   rapid.Uint64().Draw(t, "seed"),
				Resume: rapid.Bool().Draw(t, "resume"),
				Out:    rapid.String().Draw(t, "out"),
				Every:  time.Duration(rapid.Int64().Draw(t, "every")),
				Betas:  rapid.SliceOf(finite).Draw(t, "betas"),
			}),
		}
		if tags := rapid.SliceOf(rapid.String()).Draw(t, "tags"); len(tags) > 0 {
			want.Train.Tags = tags
		}
		var file bytes.Buffer
		if err := config.Write(&file, want.sections()...); err != nil {
			t.Fatal(err)
		}
		got := start()
		if err := config.Read("run.yaml", file.Bytes(), nil, got.sections()...); err != nil {
			t.Fatalf("%v\n%s", err, file.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", diff, file.String())
		}
	})
}

func TestProgrammersMistakesPanic(t *testing.T) {
	type named struct{ Name string }
	named1 := catalog.Must("model", catalog.Entry[any]{Name: "a", Value: named{}})
	pointer := catalog.Must("model", catalog.Entry[any]{Name: "a", Value: &settings{}})
	for name, call := range map[string]func(){
		"option called name": func() { config.Choice("model", "", named1, new(config.Chosen[any])) },
		"pointer":            func() { config.Choice("model", "", pointer, new(config.Chosen[any])) },
		"unknown default":    func() { config.Choice("model", "", models, &config.Chosen[model]{Name: "x"}) },
		"not a struct":       func() { config.Struct("train", "", new(int)) },
		"two sections": func() {
			_ = config.Read("", nil, nil, config.Struct("a", "", new(gru)), config.Struct("a", "", new(gru)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{
		"", "model: {name: gru, units: 8}\ntrain: {betas: [1, 2e-3], out: \"\\u00e9\"}\n", "train:\n\tlr: 1", "a: &a [*a]",
		"- - - -", "%YAML 1.1\n---\n...\n---", "? {a: b}\n: !!binary |\n  x", "\xff\xfe\x00", "model: 'é\u2028\n", "train: {<<: *x}",
		strings.Repeat("[", 2000), "train: {epochs: 1e999999999, lr: 0x_1p}",
	} {
		f.Add([]byte(file), "train.lr=1")
		f.Add([]byte("train: {}"), file)
	}
	for _, set := range []string{"train.out=data #2.npz", "train.out= ~ ", "train.out=a: [b\n", "train.out=\"\\x", "train.tags=[a, 'b #c']", "model.name=null", "train.out=\x1b[31m\u2028"} {
		f.Add([]byte("train: {lr: 010, resume: TRUE, out: &a x, tags: [*a]}"), set)
	}
	f.Add([]byte("model: gru"), "model={name: rate, gain: [1}")
	f.Fuzz(func(t *testing.T, file []byte, set string) {
		c := start()
		err := config.Read("run.yaml", file, []string{set}, c.sections()...)
		if err != nil {
			if len(problems(t, err)) == 0 || err.Error() == "" {
				t.Fatal("an error without a problem")
			}
			return
		}
		var b bytes.Buffer
		if err := config.Write(&b, c.sections()...); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again := start()
		if err := config.Read("run.yaml", b.Bytes(), nil, again.sections()...); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

type stopping struct {
	RTol  float64 `doc:"tolerance"`
	Evals int     `default:"200" doc:"evaluations"`
}

func (s stopping) Validate() error {
	if s.RTol < 0 {
		return errors.New("rtol must not be negative")
	}
	return nil
}

// Settings that are common to all parts of a section are read, checked and written with it.
func TestCommonSettings(t *testing.T) {
	m, stop := config.Chosen[model]{Name: "rate", Value: rate{}}, stopping{}
	section := config.Choice("model", "", models, &m, &stop)
	text := "model: {name: gru, units: 8, rtol: 0.25}"
	if err := config.Read("run.yaml", []byte(text), []string{"model.evals=7"}, section); err != nil {
		t.Fatal(err)
	}
	if want := (gru{Units: 8, Leak: 0.1}); m.Name != "gru" || m.Value != want {
		t.Errorf("part %+v, want %+v", m, want)
	}
	if want := (stopping{RTol: 0.25, Evals: 7}); stop != want {
		t.Errorf("settings %+v, want %+v", stop, want)
	}
	var b bytes.Buffer
	if err := config.Write(&b, section); err != nil {
		t.Fatal(err)
	}
	m2, stop2 := config.Chosen[model]{Name: "rate", Value: rate{}}, stopping{}
	if err := config.Read("copy.yaml", b.Bytes(), nil, config.Choice("model", "", models, &m2, &stop2)); err != nil {
		t.Fatal(err)
	}
	if m2 != m || stop2 != stop {
		t.Errorf("copy is %+v %+v, want %+v %+v", m2, stop2, m, stop)
	}
	for text, want := range map[string]string{
		"model: {rtol: -1}":             "rtol must not be negative",
		"model: {name: rate, gain: -1}": "gain must be positive",
		"model: {evlas: 10}":            `did you mean "evals"?`,
	} {
		err := config.Read("run.yaml", []byte(text), nil, section)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

package options_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"attractor/internal/catalog"
	"attractor/internal/options"
)

type tolerances struct {
	RTol float64 `default:"1e-3" doc:"relative tolerance"`
	ATol float64 `doc:"absolute tolerance"`
}

type precision string

type part struct {
	tolerances
	MaxEvals   int           `default:"50" doc:"evaluations of f at most"`
	LR         float32       `default:"0.1"`
	Activation string        `default:"tanh" choices:"tanh, relu"`
	Precision  precision     `choices:"float32,float64"`
	Bias       bool          `key:"no_bias"`
	Seed       uint64        `default:"1"`
	Width      int8          `default:"3" choices:"3,5"`
	Every      time.Duration `default:"10m"`
	Rules      []string      `default:"bptt, jfb"`
	Gains      []float64
	Steps      int      `default:"30" max:"1e6: every state is kept"`
	Shifts     []uint64 `max:"7: there are no more"`
	Inner      any      `key:"-"`
	Hidden     int      `key:"-" default:"7"`
	_          int
}

func ExampleFields() {
	type Anderson struct {
		Window int     `default:"6" doc:"number of past iterates m"`
		RTol   float64 `default:"1e-3" doc:"relative tolerance"`
	}
	for _, f := range options.Fields(Anderson{}) {
		fmt.Printf("%-8s %-8s %s (default %s)\n", f.Key, f.Type, f.Doc, f.Default)
	}
	// Output:
	// window   integer  number of past iterates m (default 6)
	// rtol     number   relative tolerance (default 1e-3)
}

func TestFields(t *testing.T) {
	var got []string
	for _, f := range options.Fields(&part{}) {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", f.Key, f.Type, f.Default, strings.Join(f.Choices, "/")))
	}
	want := []string{
		"rtol|number|1e-3|",
		"atol|number|0|",
		"max_evals|integer|50|",
		"lr|number|0.1|",
		"activation|text|tanh|tanh/relu",
		"precision|text||float32/float64",
		"no_bias|true or false|false|",
		"seed|integer|1|",
		"width|integer|3|3/5",
		"every|duration|10m|",
		"rules|list of texts|bptt, jfb|",
		"gains|list of numbers||",
		"steps|integer|30|",
		"shifts|list of integers||",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeys(t *testing.T) {
	type names struct {
		A, RTol, MaxEvals, LR, LRDecay, InitRTol, Beta1, L2Penalty, UseCG, BPTTSteps, MaxGMRESRestarts, Z0 int
	}
	want := strings.Fields("a rtol max_evals lr lr_decay init_rtol beta1 l2_penalty use_cg bptt_steps max_gmres_restarts z0")
	var got []string
	for _, f := range options.Fields(names{}) {
		got = append(got, f.Key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithDefaults(t *testing.T) {
	want := part{
		tolerances: tolerances{RTol: 1e-3}, MaxEvals: 9, LR: 0.1, Activation: "tanh", Seed: 1, Width: 3,
		Every: 10 * time.Minute, Rules: []string{"bptt", "jfb"}, Steps: 30, Hidden: 7,
	}
	equal := cmp.AllowUnexported(part{})
	if diff := cmp.Diff(want, options.WithDefaults(part{MaxEvals: 9, Rules: []string{}}), equal); diff != "" {
		t.Errorf("struct: %s", diff)
	}
	boxed := options.WithDefaults[any](part{MaxEvals: 9})
	if diff := cmp.Diff(any(want), boxed, equal); diff != "" {
		t.Errorf("interface: %s", diff)
	}
}

func TestSet(t *testing.T) {
	tests := []struct {
		key   string
		texts []string
		want  string // Texts joined, or a part of the error after "!"
	}{
		{"rtol", []string{"1e-5"}, "1e-5"},
		{"rtol", []string{"+.5"}, "0.5"},
		{"rtol", []string{"3."}, "3"},
		{"rtol", []string{"0x10"}, "16"},
		{"rtol", []string{"abc"}, `!expected a number, found "abc"`},
		{"rtol", []string{"1_000"}, `!expected a number, found "1_000"`},
		{"rtol", []string{"0x1p-2"}, `!expected a number`},
		{"rtol", []string{".nan"}, `!expected a finite number, found .nan`},
		{"rtol", []string{"-.inf"}, `!expected a finite number, found -.inf`},
		{"rtol", []string{"1e999"}, `!within the range of float64`},
		{"rtol", []string{"1e-999"}, `!within the range of float64`},
		{"rtol", []string{"0"}, `!0 selects the default (1e-3)`},
		{"rtol", []string{"-0.0"}, `!-0.0 selects the default`},
		{"atol", []string{"0"}, "0"},
		{"lr", []string{"1e39"}, `!within the range of float32`},
		{"lr", []string{"0.3"}, "0.3"},
		{"max_evals", []string{"1e3"}, "1000"},
		{"max_evals", []string{"3.0"}, "3"},
		{"max_evals", []string{"-7"}, "-7"},
		{"max_evals", []string{"0o17"}, "15"},
		{"max_evals", []string{"3.5"}, "!expected an integer, found 3.5"},
		{"max_evals", []string{"1e300"}, "!expected an integer written in digits"},
		{"max_evals", []string{"010"}, `!without leading zeros (0o10 is octal), found 010 (did you mean "10"?)`},
		{"max_evals", []string{"9223372036854775808"}, "!expected an integer from -9223372036854775808 to 9223372036854775807"},
		{"max_evals", []string{""}, `!expected an integer, found ""`},
		{"seed", []string{"18446744073709551615"}, "18446744073709551615"},
		{"seed", []string{"18446744073709551616"}, "!of at most 18446744073709551615"},
		{"seed", []string{"-1"}, "!expected an integer that is not negative, found -1"},
		{"width", []string{"5.0"}, "5"},
		{"width", []string{"4"}, "!expected one of 3, 5, found \"4\""},
		{"width", []string{"300"}, "!expected an integer from -128 to 127, found 300"},
		{"activation", []string{"relu"}, "relu"},
		{"activation", []string{"rleu"}, `!expected one of tanh, relu, found "rleu" (did you mean "relu"?)`},
		{"activation", []string{""}, `!expected one of tanh, relu`},
		{"precision", []string{""}, ""},
		{"precision", []string{"\xff"}, "!UTF-8"},
		{"no_bias", []string{"true"}, "true"},
		{"no_bias", []string{"yes"}, `!expected true or false, found "yes" (did you mean "true"?)`},
		{"no_bias", []string{"maybe"}, `!expected true or false, found "maybe"`},
		{"every", []string{"90s"}, "1m30s"},
		{"every", []string{"90"}, `!expected a duration such as 90s or 1h30m, found 90`},
		{"every", []string{"0s"}, `!0s selects the default (10m)`},
		{"rules", []string{"a", "b"}, "a,b"},
		{"rules", nil, "!an empty list selects the default (bptt, jfb)"},
		{"gains", nil, ""},
		{"gains", []string{"1", "x"}, `!expected a number, found "x"`},
		{"steps", []string{"1000000"}, "1000000"},
		{"steps", []string{"1e6"}, "1000000"},
		{"steps", []string{"1000001"}, "!expected an integer of at most 1000000 (every state is kept), found 1000001"},
		{"steps", []string{"9223372036854775807"}, "!at most 1000000"},
		{"steps", []string{"-9223372036854775808"}, "-9223372036854775808"}, // of which a part's Validate says more
		{"shifts", []string{"7", "0"}, "7,0"},
		{"shifts", []string{"1", "18446744073709551615"}, "!at most 7"},
	}
	for _, tt := range tests {
		t.Run(tt.key+"="+strings.Join(tt.texts, ","), func(t *testing.T) {
			f := field(t, tt.key)
			var p part
			err := f.Set(&p, tt.texts...)
			if msg, bad := strings.CutPrefix(tt.want, "!"); bad {
				var value *options.ValueError
				if !errors.As(err, &value) || !strings.Contains(err.Error(), msg) {
					t.Errorf("error %v, want %q", err, msg)
				}
				if diff := cmp.Diff(part{}, p, cmp.AllowUnexported(part{})); diff != "" {
					t.Errorf("changed in spite of the error: %s", diff)
				}
				return
			}
			if got := strings.Join(f.Texts(p), ","); err != nil || got != tt.want {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestSetErrorHasItsData(t *testing.T) {
	var p part
	var value *options.ValueError
	if err := field(t, "gains").Set(&p, "1", "2", "z"); !errors.As(err, &value) || value.Item != 2 {
		t.Errorf("item: %#v", err)
	}
	var unknown *catalog.UnknownError
	if err := field(t, "activation").Set(&p, "tahn"); !errors.As(err, &unknown) || unknown.Suggestion != "tanh" {
		t.Errorf("choice: %#v", err)
	}
}

func TestTextsRoundTrip(t *testing.T) {
	type values struct {
		F float64
		G float32
		I int16
		U uint64
		D time.Duration
		L []float64
	}
	fields := options.Fields(values{})
	rapid.Check(t, func(t *rapid.T) {
		finite := rapid.Float64().Filter(func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) })
		want := values{
			finite.Draw(t, "F"),
			rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "G"),
			rapid.Int16().Draw(t, "I"),
			rapid.Uint64().Draw(t, "U"),
			time.Duration(rapid.Int64().Draw(t, "D")),
			rapid.SliceOfN(finite, 1, 5).Draw(t, "L"),
		}
		var got values
		for _, f := range fields {
			if err := f.Set(&got, f.Texts(want)...); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestProgrammersMistakesPanic(t *testing.T) {
	tests := map[string]func(){
		"not a struct": func() { options.Fields(3) },
		"type":         func() { options.Fields(struct{ F func() }{}) },
		"nested":       func() { options.Fields(struct{ F [][]int }{}) },
		"default": func() {
			options.Fields(struct {
				N int `default:"x"`
			}{})
		},
		"default no choice": func() {
			options.Fields(struct {
				S string `default:"x" choices:"a,b"`
			}{})
		},
		"true bool": func() {
			options.Fields(struct {
				B bool `default:"true"`
			}{})
		},
		"two alike": func() {
			options.Fields(struct {
				A int
				B int `key:"a"`
			}{})
		},
		"defaults of any": func() { options.WithDefaults(3) },
		"defaults of nil": func() { options.WithDefaults[any](nil) },
		"defaults, bad tag": func() {
			options.WithDefaults(struct {
				N int `default:"x"`
			}{})
		},
		"defaults, bad type": func() {
			options.WithDefaults(struct {
				F func() `default:"x"`
			}{})
		},
		"max, no reason": func() {
			options.Fields(struct {
				N int `max:"7"`
			}{})
		},
		"max, not an integer": func() {
			options.Fields(struct {
				N int `max:"1.5: half"`
			}{})
		},
		"max of a number": func() {
			options.Fields(struct {
				F float64 `max:"7: too hot"`
			}{})
		},
		"many texts": func() { _ = field(t, "rtol").Set(&part{}, "1", "2") },
	}
	for name, call := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "options: ") {
					t.Errorf("panic %q", msg)
				}
			}()
			call()
		})
	}
}

func field(t *testing.T, key string) options.Field {
	t.Helper()
	fields := options.Fields(part{})
	i := slices.IndexFunc(fields, func(f options.Field) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("no field %q", key)
	}
	return fields[i]
}

func TestCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := map[string]struct {
		v    part
		want string // of the error; empty for none
	}{
		"zero":        {part{}, ""},
		"as written":  {part{Steps: 1e6, LR: 1e30, Gains: []float64{1, -2}}, ""},
		"NaN":         {part{tolerances: tolerances{RTol: nan}}, "rtol: expected a finite number, found NaN"},
		"infinite":    {part{LR: float32(-inf)}, "lr: expected a finite number, found -Inf"},
		"in a list":   {part{Gains: []float64{1, inf}}, "gains: expected a finite number, found +Inf"},
		"count":       {part{Steps: math.MaxInt}, "steps: expected an integer of at most 1000000 (every state is kept), found 9223372036854775807"},
		"list":        {part{Shifts: []uint64{3, math.MaxUint64}}, "shifts: expected an integer of at most 7 (there are no more), found 18446744073709551615"},
		"first first": {part{Steps: math.MaxInt, LR: float32(nan)}, "lr: expected a finite number, found NaN"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := options.Check(&tt.v)
			var value *options.ValueError
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("error %v", err)
			case tt.want != "" && (err == nil || err.Error() != tt.want || !errors.As(err, &value)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

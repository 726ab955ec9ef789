package options_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/internal/options"
)

type inner struct {
	options.Zeros
	Sigma float64 `default:"0.1"`
}

// untold has no Zeros of its own: that of the struct around it tells.
type untold struct {
	Steps int `default:"30"`
}

type adam struct {
	options.Zeros
	LR    float64 `default:"0.001"`
	Beta  float64 `default:"0.9"`
	Decay float64
	Draws int    `default:"3"`
	Form  string `default:"h"`
	Times []int  `default:"1,2"`
	untold
	inner
}

// Zero that is meant is told from zero that is the default, in a literal, by Set, and when it is resolved again.
func TestZeros(t *testing.T) {
	plain := options.WithDefaults(adam{})
	if plain.Beta != 0.9 || plain.Draws != 3 || plain.Sigma != 0.1 || plain.Steps != 30 {
		t.Errorf("defaults: %+v", plain)
	}
	literal := options.WithDefaults(options.WithDefaults(adam{Zeros: "beta draws", inner: inner{Zeros: "sigma"}}))
	if literal.Beta != 0 || literal.Draws != 0 || literal.Sigma != 0 || literal.LR != 0.001 || literal.Steps != 30 {
		t.Errorf("a literal: %+v", literal)
	}
	if one := options.WithDefaults(inner{Zeros: "sigma"}); one.Sigma != 0 {
		t.Errorf("the inner struct alone: %+v", one)
	}
	var set adam
	field := func(key string) options.Field {
		for _, f := range options.Fields(set) {
			if f.Key == key {
				return f
			}
		}
		t.Fatalf("no option %s", key)
		panic("")
	}
	for _, key := range []string{"draws", "beta", "sigma", "decay"} {
		if err := field(key).Set(&set, "0"); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if want := (adam{Zeros: "beta draws", inner: inner{Zeros: "sigma"}}); !cmp.Equal(set, want, cmp.AllowUnexported(adam{})) {
		t.Errorf("set to zero: %+v, want %+v", set, want)
	}
	if got := field("beta").Texts(options.WithDefaults(set)); got[0] != "0" {
		t.Errorf("beta is written as %q", got)
	}
	if err := field("beta").Set(&set, "0.5"); err != nil || set.Zeros != "draws" || set.Beta != 0.5 {
		t.Errorf("set to another value: %+v, %v", set, err)
	}
	for key, text := range map[string]string{"form": "", "times": ""} {
		texts := []string{text}
		if key == "times" {
			texts = nil
		}
		if err := field(key).Set(&set, texts...); err == nil || !strings.Contains(err.Error(), "selects the default") {
			t.Errorf("%s set to nothing: error %v", key, err)
		}
	}
	if err := field("steps").Set(&set, "0"); err != nil || set.Zeros != "draws steps" || options.WithDefaults(set).Steps != 0 {
		t.Errorf("the steps of a struct within: %+v, %v", set, err)
	}
	var alone untold
	if err := options.Fields(alone)[0].Set(&alone, "0"); err == nil || !strings.Contains(err.Error(), "selects the default") {
		t.Errorf("without Zeros: error %v", err)
	}
}

// A name in Zeros that fits no number is a mistake that would otherwise be the default in silence.
func TestZerosNameNumbers(t *testing.T) {
	for _, v := range []adam{{Zeros: "gian"}, {Zeros: "form"}, {Zeros: "decay"}, {Zeros: "steps sigma"}, {inner: inner{Zeros: "beta"}}} {
		func() {
			defer func() {
				if r := recover(); r == nil {
					t.Errorf("%+v is taken", v)
				}
			}()
			options.WithDefaults(v)
		}()
	}
}

package train

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"

	"attractor/train/kit"
)

// What a configuration sets to zero is zero or refused, never the default; what it trains is finite.
func TestZeroThatIsMeant(t *testing.T) {
	parts := Ours[float64]()
	small := []string{"task=blobs", "task.train=16", "task.test=8", "model.units=5", "train.epochs=1", "train.batch=8"}
	type choice struct {
		section, name string
		part          any
	}
	var all []choice
	for _, e := range parts.Models.Entries() {
		all = append(all, choice{"model", e.Name, e.Value})
	}
	for _, e := range parts.Optimizers.Entries() {
		all = append(all, choice{"optimizer", e.Name, e.Value})
	}
	for _, e := range parts.Rules.Entries() {
		all = append(all, choice{"rule", e.Name, e.Value})
	}
	for _, e := range parts.Tasks.Entries() {
		all = append(all, choice{"task", e.Name, e.Value})
	}
	zero, refused := 0, 0
	for _, c := range all {
		for _, f := range kit.Fields(c.part) {
			if f.Default == "" || f.Default == "0" || !slices.Contains([]string{"number", "integer"}, f.Type) {
				continue
			}
			t.Run(c.section+" "+c.name+" "+f.Key, func(t *testing.T) {
				sets := slices.Clone(small)
				if c.section == "task" {
					sets = small[3:]
				}
				conf, err := Read(parts, "test", nil, append(sets, c.section+"="+c.name, c.section+"."+f.Key+"=0"))
				if err == nil {
					at := map[string]any{"model": conf.Model.Value, "optimizer": conf.Optimizer.Value, "rule": conf.Rule.Value, "task": conf.Task.Value}[c.section]
					if got := f.Texts(kit.WithDefaults(at)); got[0] != "0" {
						t.Fatalf("0 was set, and it is %s", got[0])
					}
					var text bytes.Buffer
					if err := conf.Write(&text, parts); err != nil {
						t.Fatal(err)
					}
					again, err := Read(parts, "written", text.Bytes(), nil)
					if err != nil || !reflect.DeepEqual(again, conf) {
						t.Fatalf("written and read again: %v\n%+v\n%+v", err, again, conf)
					}
				}
				if err == nil && c.section == "task" {
					_, err = conf.Task.Value.Load(1)
				} else if err == nil {
					err = trains(t, conf, parts)
				}
				if err != nil {
					refused++
					return
				}
				zero++
			})
		}
	}
	if zero < 20 || refused < 50 {
		t.Errorf("%d options can be zero, %d are refused", zero, refused)
	}
}

// trains takes a configuration through all of its steps, and demands finite parameters.
func trains(t *testing.T, c Config[float64], parts Parts[float64]) error {
	tr, err := New(c, parts)
	if err != nil {
		return err
	}
	for !tr.Done() {
		if _, _, err := tr.Next(t.Context()); err != nil {
			return err
		}
	}
	for _, p := range tr.Layer.Params {
		for k, v := range p.Data {
			if v-v != 0 {
				t.Errorf("%s[%d] is %g", p.Name, k, v)
			}
		}
	}
	return nil
}

// A part in which zero is meant does what it does in the limit.
func TestZeroInTheLimit(t *testing.T) {
	common := []string{"task=blobs", "model.units=6", "train.epochs=2", "train.schedule=constant"}
	for _, c := range []struct{ key, tiny string }{
		{"model.gain", "1e-300"}, {"model.input_gain", "1e-300"}, {"optimizer.lr", "1e-300"}, {"optimizer.beta1", "1e-300"},
	} {
		run := func(value string) *Trainer[float64] {
			tr := trainer[float64](t, append(slices.Clone(common), "optimizer=adam", c.key+"="+value)...)
			for !tr.Done() {
				next(t, tr)
			}
			return tr
		}
		at, near, elsewhere := run("0"), run(c.tiny), run("0.1")
		var off, apart float64
		for i, p := range at.Layer.Params {
			for k, v := range p.Data {
				off = max(off, math.Abs(v-near.Layer.Params[i].Data[k]))
				apart = max(apart, math.Abs(v-elsewhere.Layer.Params[i].Data[k]))
			}
		}
		if !(off <= 1e-12) || !(apart > 1e-6) {
			t.Errorf("%s: 0 is %.2g from %s, and %.2g from 0.1", c.key, off, c.tiny, apart)
		}
	}
	if tr := trainer[float64](t, append(common, "train.epochs=0")...); !tr.Done() {
		t.Error("no epochs are not none")
	}
}

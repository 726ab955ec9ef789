package optim_test

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attractor/internal/catalog"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/train/optim"
)

// methods are the catalogue's entries and further settings of them.
func methods[T kernels.Float]() []catalog.Entry[optim.Optimizer[T]] {
	return optim.Catalog[T]().With(
		catalog.Entry[optim.Optimizer[T]]{Name: "sgd/decay", Value: optim.SGD[T]{WeightDecay: 1e-4}},
		catalog.Entry[optim.Optimizer[T]]{Name: "sgd/momentum", Value: optim.SGD[T]{Momentum: 0.9}},
		catalog.Entry[optim.Optimizer[T]]{Name: "sgd/nesterov", Value: optim.SGD[T]{Momentum: 0.9, Nesterov: true}},
	).Entries()
}

// rated is the optimiser with another learning rate, which every one has.
func rated[T kernels.Float](o optim.Optimizer[T], lr float64) optim.Optimizer[T] {
	v := reflect.New(reflect.TypeOf(o)).Elem()
	v.Set(reflect.ValueOf(o))
	v.FieldByName("LR").SetFloat(lr)
	return v.Interface().(optim.Optimizer[T])
}

func start[T kernels.Float](t testing.TB, o optim.Optimizer[T], params [][]T) optim.State[T] {
	t.Helper()
	var ps []optim.Param
	for i, p := range params {
		ps = append(ps, optim.Param{Name: string(rune('A' + i)), N: len(p)})
	}
	s, err := o.Start(ps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// problem is a function with minimum 0 of parameters in two pieces.
type problem struct {
	name  string
	start [2][]float64
	eval  func(p, g [2][]float64) float64 // writes the gradient
	steps int
	below float64 // share of the value at the start that must be reached
}

var problems = []problem{{
	// Σ c_i (p_i − 1)²/2 with curvatures from 1 to 30.
	name: "quadratic", start: [2][]float64{{0, 3, -2}, {2, 0}}, steps: 1000, below: 1e-4,
	eval: func(p, g [2][]float64) float64 {
		sum := 0.0
		for i, curvatures := range [2][]float64{{1, 30, 4}, {9, 2}} {
			for j, c := range curvatures {
				e := p[i][j] - 1
				g[i][j] = c * e
				sum += c * e * e / 2
			}
		}
		return sum
	},
}, {
	// Rosenbrock (1960), "An automatic method for finding the greatest or least value
	// of a function", from its usual start.
	name: "rosenbrock", start: [2][]float64{{-1.2}, {1}}, steps: 3000, below: 1e-2,
	eval: func(p, g [2][]float64) float64 {
		x, y := p[0][0], p[1][0]
		g[0][0] = -400*x*(y-x*x) - 2*(1-x)
		g[1][0] = 200 * (y - x*x)
		return 100*(y-x*x)*(y-x*x) + (1-x)*(1-x)
	},
}}

// minimize returns the value at the end over that at the start.
func minimize[T kernels.Float](t *testing.T, o optim.Optimizer[T], p problem) float64 {
	var wide, wideG [2][]float64
	params, grads := make([][]T, 2), make([][]T, 2)
	for i, v := range p.start {
		wide[i], wideG[i] = slices.Clone(v), make([]float64, len(v))
		params[i], grads[i] = make([]T, len(v)), make([]T, len(v))
		for j, x := range v {
			params[i][j] = T(x)
		}
	}
	s := start(t, o, params)
	schedule := optim.Schedule{Shape: "cosine", Steps: p.steps}
	first := p.eval(wide, wideG)
	for range p.steps {
		for i := range params {
			for j := range params[i] {
				grads[i][j] = T(wideG[i][j])
			}
		}
		s.Step(schedule.Factor(s.Steps()), params, grads)
		for i := range params {
			for j := range params[i] {
				wide[i][j] = float64(params[i][j])
			}
		}
		p.eval(wide, wideG)
	}
	return p.eval(wide, wideG) / first
}

// Every optimiser, at the best of some learning rates, comes near the minimum.
func TestMinimizes(t *testing.T) {
	t.Run("float32", testMinimizes[float32])
	t.Run("float64", testMinimizes[float64])
}

func testMinimizes[T kernels.Float](t *testing.T) {
	for _, m := range methods[T]() {
		for _, p := range problems {
			best, at := math.Inf(1), 0.0
			for _, lr := range []float64{1e-4, 1e-3, 1e-2, 0.05} {
				if v := minimize(t, rated(m.Value, lr), p); v < best {
					best, at = v, lr
				}
			}
			if !(best < p.below) {
				t.Errorf("%s leaves %.2g of %s (learning rate %g), want below %g", m.Name, best, p.name, at, p.below)
			}
		}
	}
}

// The gradients 2 and 4 from the parameter 1, worked out by hand. Adam's moments with
// β₁ = ½ and β₂ = ¾ are m = 1, 2.5 and v = 1, 4.75; corrected m̂ = 2, 10/3 and
// v̂ = 4, 76/7. With the defaults m₂ = 0.58 and v₂ = 0.019996, over 0.19 and 0.001999.
func TestFirstSteps(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testFirstSteps[float32](t, 1e-6) })
	t.Run("float64", func(t *testing.T) { testFirstSteps[float64](t, 1e-12) })
}

func testFirstSteps[T kernels.Float](t *testing.T, tol float64) {
	adam2 := 0.1 * (10.0 / 3) / math.Sqrt(76.0/7)
	for _, c := range []struct {
		name string
		o    optim.Optimizer[T]
		want [2]float64
	}{
		{"sgd", optim.SGD[T]{LR: 0.1}, [2]float64{0.8, 0.4}},
		{"sgd with weight decay", optim.SGD[T]{LR: 0.1, WeightDecay: 0.5}, [2]float64{0.75, 0.3125}},
		{"momentum", optim.SGD[T]{LR: 0.1, Momentum: 0.5}, [2]float64{0.8, 0.3}},
		{"nesterov", optim.SGD[T]{LR: 0.1, Momentum: 0.5, Nesterov: true}, [2]float64{0.7, 0.05}},
		{"adam", optim.Adam[T]{LR: 0.1, Beta1: 0.5, Beta2: 0.75, Eps: 1e-15}, [2]float64{0.9, 0.9 - adam2}},
		{"adamw", optim.Adam[T]{LR: 0.1, Beta1: 0.5, Beta2: 0.75, Eps: 1e-15, WeightDecay: 0.5}, [2]float64{0.85, 0.85*0.95 - adam2}},
		{"adam's ε", optim.Adam[T]{LR: 0.1, Beta1: 0.5, Beta2: 0.75, Eps: 2}, [2]float64{0.95, 0.95 - 0.1*(10.0/3)/(math.Sqrt(76.0/7)+2)}},
		{"rmsprop", optim.RMSProp[T]{LR: 0.1, Decay: 0.75, Eps: 1e-15}, [2]float64{0.8, 0.8 - 0.4/math.Sqrt(4.75)}},
		{"adam's defaults", optim.Adam[T]{}, [2]float64{1 - 0.001*2/(2+1e-8), 1 - 0.001*2/(2+1e-8) - 0.001*(0.58/0.19)/(math.Sqrt(0.019996/0.001999)+1e-8)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			params := [][]T{{1}}
			s := start(t, c.o, params)
			for k, g := range []T{2, 4} {
				s.Step(1, params, [][]T{{g}})
				if got := float64(params[0][0]); !(math.Abs(got-c.want[k]) <= tol) {
					t.Errorf("step %d: %.15g, want %.15g", k+1, got, c.want[k])
				}
			}
			if s.Steps() != 2 {
				t.Errorf("%d steps counted", s.Steps())
			}
		})
	}
}

// run makes some steps with gradients that depend on the step alone.
func run[T kernels.Float](s optim.State[T], params [][]T, scale float64, steps int) {
	for range steps {
		r := rng.Stream(0, "test", uint64(s.Steps()))
		grads := make([][]T, len(params))
		for i, p := range params {
			grads[i] = make([]T, len(p))
			for j := range p {
				grads[i][j] = T(r.NormFloat64())
			}
		}
		s.Step(scale, params, grads)
	}
}

func parameters[T kernels.Float]() [][]T { return [][]T{{1, -2, 3}, {0.5, 0.25}} }

func copied[T kernels.Float](slots map[string][]T) map[string][]T {
	out := map[string][]T{}
	for k, v := range slots {
		out[k] = slices.Clone(v)
	}
	return out
}

func TestRestore(t *testing.T) {
	t.Run("float32", testRestore[float32])
	t.Run("float64", testRestore[float64])
}

func testRestore[T kernels.Float](t *testing.T) {
	for _, m := range methods[T]() {
		whole := parameters[T]()
		s := start(t, m.Value, whole)
		run(s, whole, 1, 10)

		halves := parameters[T]()
		a := start(t, m.Value, halves)
		run(a, halves, 1, 4)
		steps, slots := a.Steps(), copied(a.Slots())
		run(a, [][]T{slices.Clone(halves[0]), slices.Clone(halves[1])}, 1, 3) // must not matter

		b := start(t, m.Value, halves)
		if err := b.Restore(steps, slots); err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		run(b, halves, 1, 6)
		if !reflect.DeepEqual(halves, whole) || !reflect.DeepEqual(b.Slots(), s.Slots()) || b.Steps() != 10 {
			t.Errorf("%s: resumed at %v, uninterrupted %v", m.Name, halves, whole)
		}
		size := 0
		for _, v := range slots {
			size += len(v) * int(reflect.TypeFor[T]().Size())
		}
		if b.Bytes() != size {
			t.Errorf("%s: %d bytes, want %d", m.Name, b.Bytes(), size)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	params := parameters[float64]()
	s := start(t, optim.Optimizer[float64](optim.Adam[float64]{}), params)
	run(s, params, 1, 3)
	before := copied(s.Slots())
	for _, c := range []struct {
		name   string
		damage func(m map[string][]float64)
		steps  int64
		want   string
	}{
		{"missing", func(m map[string][]float64) { delete(m, "m/B") }, 1, `optim: restore "m/B": expected 2 values, found no such slot (saved by another optimiser or model?)`},
		{"short", func(m map[string][]float64) { m["v/A"] = m["v/A"][:2] }, 1, `optim: restore "v/A": expected 3 values, found 2`},
		{"further", func(m map[string][]float64) { m["m/C"] = nil }, 1, `optim: restore "m/C": expected only the slots m/A, m/B, v/A, v/B, found one more (saved by another optimiser or model?)`},
		{"NaN", func(m map[string][]float64) { m["v/B"][1] = math.NaN() }, 1, `optim: restore "v/B": expected finite values, found NaN at 1`},
		{"counter", func(map[string][]float64) {}, -1, `optim: restore: expected a step counter of at least 0, found -1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := copied(before)
			for _, v := range m {
				v[0]++
			}
			c.damage(m)
			var e *optim.RestoreError
			if err := s.Restore(c.steps, m); !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
			if !reflect.DeepEqual(s.Slots(), before) || s.Steps() != 3 {
				t.Error("the state changed in spite of the error")
			}
		})
	}
}

// A scaled step is that of a scaled learning rate; scale 0 moves nothing.
func TestScale(t *testing.T) {
	for _, m := range methods[float64]() {
		a, b, c := parameters[float64](), parameters[float64](), parameters[float64]()
		run(start(t, rated(m.Value, 0.04), a), a, 0.25, 3)
		run(start(t, rated(m.Value, 0.01), b), b, 1, 3)
		run(start(t, m.Value, c), c, 0, 3)
		for i := range a {
			for j := range a[i] {
				if !(math.Abs(a[i][j]-b[i][j]) <= 1e-14) {
					t.Errorf("%s: a quarter of the rate 0.04 gives %v, 0.01 %v", m.Name, a, b)
				}
			}
		}
		if !reflect.DeepEqual(c, parameters[float64]()) {
			t.Errorf("%s: scale 0 moved the parameters to %v", m.Name, c)
		}
	}
}

func TestZeroGradient(t *testing.T) {
	for _, m := range methods[float32]() {
		if strings.Contains(m.Name, "decay") || m.Name == "adamw" {
			continue
		}
		params := parameters[float32]()
		s := start(t, m.Value, params)
		s.Step(1, params, [][]float32{make([]float32, 3), make([]float32, 2)})
		if !reflect.DeepEqual(params, parameters[float32]()) {
			t.Errorf("%s: gradients of 0 moved the parameters to %v", m.Name, params)
		}
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		o    optim.Optimizer[float32]
		want string
	}{
		{optim.SGD[float32]{LR: -1}, "optim: sgd: expected a finite lr of at least 0, found -1"},
		{optim.SGD[float32]{LR: nan}, "found NaN"},
		{optim.SGD[float32]{Momentum: 1}, "optim: sgd: expected momentum in [0, 1), found 1"},
		{optim.SGD[float32]{WeightDecay: math.Inf(1)}, "optim: sgd: expected a finite weight_decay of at least 0, found +Inf"},
		{optim.SGD[float32]{Nesterov: true}, "optim: sgd: nesterov needs a momentum above 0"},
		{optim.Adam[float32]{Beta1: 1}, "optim: adam: expected beta1 in [0, 1), found 1"},
		{optim.Adam[float32]{Beta2: -0.1}, "optim: adam: expected beta2 in [0, 1), found -0.1"},
		{optim.Adam[float32]{Eps: 1e-60}, "optim: adam: expected a finite eps above 0 in float32, found 1e-60"},
		{optim.Adam[float32]{WeightDecay: -1}, "optim: adam: expected a finite weight_decay of at least 0, found -1"},
		{optim.RMSProp[float32]{Decay: 2}, "optim: rmsprop: expected decay in [0, 1), found 2"},
	} {
		if _, err := c.o.Start(nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
	for _, params := range [][]optim.Param{{{Name: "", N: 1}}, {{Name: "W", N: -1}}, {{Name: "W", N: 1}, {Name: "W", N: 1}}} {
		if _, err := (optim.SGD[float32]{}).Start(params); err == nil {
			t.Errorf("no error for the parameters %v", params)
		}
	}
}

func TestStepPanics(t *testing.T) {
	s := start(t, optim.Optimizer[float64](optim.SGD[float64]{}), parameters[float64]())
	good := parameters[float64]()
	for name, bad := range map[string][][]float64{"too few": {{1, 2, 3}}, "too short": {{1, 2, 3}, {1}}} {
		for _, args := range [][2][][]float64{{bad, good}, {good, bad}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				s.Step(1, args[0], args[1])
			}()
		}
	}
	if s.Steps() != 0 {
		t.Errorf("%d steps counted", s.Steps())
	}
}

func TestCatalogDocs(t *testing.T) {
	for _, e := range optim.Catalog[float32]().Entries() {
		if e.Synopsis() == "" || e.Synopsis() == e.Doc || len(e.Refs) == 0 {
			t.Errorf("%s: documentation %q, sources %q", e.Name, e.Doc, e.Refs)
		}
		if !slices.ContainsFunc(options.Fields(e.Value), func(f options.Field) bool { return f.Key == "lr" }) {
			t.Errorf("%s has no option lr", e.Name)
		}
	}
	options.Fields(optim.Schedule{})
}

func TestStepDoesNotAllocate(t *testing.T) {
	for _, m := range methods[float32]() {
		params, grads := parameters[float32](), parameters[float32]()
		s := start(t, m.Value, params)
		if n := testing.AllocsPerRun(20, func() { s.Step(1, params, grads) }); n != 0 {
			t.Errorf("%s: %v allocations per step", m.Name, n)
		}
	}
	grads := parameters[float32]()
	names := []string{"A", "B"}
	if n := testing.AllocsPerRun(20, func() { optim.ClipNorm(grads, 1); _ = optim.FirstNonFinite(names, grads) }); n != 0 {
		t.Errorf("%v allocations to clip and check", n)
	}
}

func TestClipNorm(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testClipNorm[float32](t, 1e-6) })
	t.Run("float64", func(t *testing.T) { testClipNorm[float64](t, 1e-15) })
}

func testClipNorm[T kernels.Float](t *testing.T, tol float64) {
	for _, c := range []struct {
		name        string
		grads       [][]T
		limit, norm float64
		want        [][]T
	}{
		{"above", [][]T{{3}, {0, -4}}, 1, 5, [][]T{{0.6}, {0, -0.8}}},
		{"at the limit", [][]T{{3}, {0, -4}}, 5, 5, [][]T{{3}, {0, -4}}},
		{"below", [][]T{{3}, {0, -4}}, 10, 5, [][]T{{3}, {0, -4}}},
		{"no limit", [][]T{{3}, {0, -4}}, 0, 5, [][]T{{3}, {0, -4}}},
		{"zero", [][]T{{0}, {0}}, 1, 0, [][]T{{0}, {0}}},
		{"squares overflow float32", [][]T{{3e30}, {4e30}}, 1, 5e30, [][]T{{0.6}, {0.8}}},
		{"infinite", [][]T{{T(math.Inf(1))}, {1}}, 1, math.Inf(1), [][]T{{T(math.Inf(1))}, {1}}},
		{"none", nil, 1, 0, nil},
	} {
		norm := optim.ClipNorm(c.grads, c.limit)
		if norm != c.norm && !(math.Abs(norm-c.norm) <= tol*c.norm) {
			t.Errorf("%s: norm %v, want %v", c.name, norm, c.norm)
		}
		for i := range c.want {
			for j, want := range c.want[i] {
				if got := c.grads[i][j]; got != want && !(math.Abs(float64(got-want)) <= tol) {
					t.Errorf("%s: gradients %v, want %v", c.name, c.grads, c.want)
				}
			}
		}
	}
	bad := [][]T{{1, T(math.NaN())}, {2}}
	if norm := optim.ClipNorm(bad, 1); !math.IsNaN(norm) || bad[1][0] != 2 {
		t.Errorf("norm %v of a NaN, gradients %v", norm, bad)
	}
}

func TestFirstNonFinite(t *testing.T) {
	names := []string{"W", "b"}
	if err := optim.FirstNonFinite(names, [][]float32{{1, -math.MaxFloat32}, {0}}); err != nil {
		t.Error(err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		err := optim.FirstNonFinite(names, [][]float64{{1, 2}, {0, bad, math.NaN()}})
		var e *optim.NonFiniteError
		if !errors.As(err, &e) || e.Name != "b" || e.Index != 1 || !strings.HasPrefix(err.Error(), "optim: b[1] is ") {
			t.Errorf("error %v for %v in b", err, bad)
		}
	}
}

func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		s    optim.Schedule
		want map[int64]float64
	}{
		{optim.Schedule{}, map[int64]float64{0: 1, 1 << 40: 1}},
		{optim.Schedule{Warmup: 4}, map[int64]float64{0: 0.25, 1: 0.5, 3: 1, 4: 1, 100: 1}},
		{optim.Schedule{Shape: "cosine", Steps: 101}, map[int64]float64{0: 1, 25: (1 + math.Sqrt2/2) / 2, 50: 0.5, 100: 0, 500: 0}},
		{optim.Schedule{Shape: "cosine", Steps: 111, Warmup: 10, Final: 0.1}, map[int64]float64{0: 0.1, 9: 1, 10: 1, 60: 0.55, 110: 0.1, 999: 0.1}},
		{optim.Schedule{Shape: "linear", Steps: 11}, map[int64]float64{0: 1, 3: 0.7, 10: 0, 11: 0}},
		{optim.Schedule{Shape: "linear", Steps: 1}, map[int64]float64{0: 1, 1: 0}},
	} {
		if err := c.s.Check(); err != nil {
			t.Errorf("%+v: %v", c.s, err)
		}
		for _, k := range slices.Sorted(maps.Keys(c.want)) {
			if got := c.s.Factor(k); !(math.Abs(got-c.want[k]) <= 1e-15) {
				t.Errorf("%+v: factor %v at step %d, want %v", c.s, got, k, c.want[k])
			}
		}
	}
	for _, c := range []struct {
		s    optim.Schedule
		want string
	}{
		{optim.Schedule{Shape: "cosin", Steps: 5}, `optim: unknown schedule "cosin" (did you mean "cosine"?)`},
		{optim.Schedule{Shape: "cosine"}, "optim: schedule: cosine expects more steps than the 0 of the warm-up, found 0"},
		{optim.Schedule{Shape: "linear", Steps: 3, Warmup: 3}, "optim: schedule: linear expects more steps than the 3 of the warm-up, found 3"},
		{optim.Schedule{Warmup: -1}, "optim: schedule: expected warmup of at least 0, found -1"},
		{optim.Schedule{Final: math.NaN()}, "optim: schedule: expected final in [0, 1], found NaN"},
	} {
		if err := c.s.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: error %v, want %s", c.s, err, c.want)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, e := range optim.Catalog[float32]().Entries() {
		b.Run("method="+e.Name+"/n=65536", func(b *testing.B) {
			params, grads := [][]float32{make([]float32, 65536)}, [][]float32{make([]float32, 65536)}
			for j := range grads[0] {
				grads[0][j] = float32(j%7) - 3
			}
			s := start(b, e.Value, params)
			b.SetBytes(4 * 65536)
			for b.Loop() {
				s.Step(1, params, grads)
			}
		})
	}
}

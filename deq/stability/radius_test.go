package stability_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/rng"
	"attractor/models"
)

// At rest of a relu network without bias every unit is on its kink: vectors grow as the one-sided derivative has it.
func TestGrowthOnKinks(t *testing.T) {
	for name, c := range map[string]struct {
		w    []float64
		want float64
	}{
		"inhibited":         {[]float64{-3}, 0},
		"decays":            {[]float64{0.5}, 0.5},
		"grows":             {[]float64{2}, 2},
		"mutual inhibition": {[]float64{0, -5, -5, 0}, 0},
		"competition":       {[]float64{0.9, -5, -5, 0.8}, 0.9},
		"one grows":         {[]float64{1.5, -1, -1, 0.5}, 1.5},
		"chain":             {[]float64{0, -4, 1, 0}, 0},
		"exchange":          {[]float64{0, 0.9, 0.4, 0}, 0.6},
	} {
		l := own(t, "relu", c.w...)
		n := l.Units
		z := make([]float64, 3*n)
		for i := range n {
			z[n+i] = -1 // off the kinks but with the slope 0
		}
		for i := range n {
			z[2*n+i] = float64(i)
		}
		e, err := l.At(make([]float64, 3), z)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(5) {
			rates, err := stability.Growth(e, 60, seed)
			if err != nil {
				t.Fatal(err)
			}
			if r := rates[0]; r.Kinks != n || !(math.Abs(r.Radius-c.want) <= 1e-9) || !(r.Spread <= 0.05) {
				t.Errorf("%s, seed %d: %+v, want a radius of %g on %d kinks", name, seed, r, c.want, n)
			}
		}
	}
}

// Of random relu networks at rest the estimate is what OnKinks finds, wherever its directions are enough, and never above it.
func TestGrowthAtRest(t *testing.T) {
	t.Run("float64", func(t *testing.T) { growthAtRest[float64](t) })
	t.Run("float32", func(t *testing.T) { growthAtRest[float32](t) })
}

func growthAtRest[T deq.Float](t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	near, count := 0, 0
	for k := range 6 {
		n, gain := 1+r.IntN(6), 0.3+2*r.Float64()
		m := models.Rate{N: n, Gain: gain, Activation: "relu"}
		if k%2 == 1 {
			m.Leak = 0.4
		}
		l := free[T](t, m, 1, 8, r.Uint64())
		clear(l.Params.Data("b"))
		e, err := l.At(make([]T, 2), make([]T, 2*n))
		if err != nil {
			t.Fatal(err)
		}
		rates, err := stability.Growth(e, 200, 1)
		if err != nil {
			t.Fatal(err)
		}
		want, kinks, err := stability.OnKinks(ctx, e, 0)
		if err != nil || kinks != n {
			t.Fatalf("%d units on %d kinks: %v", n, kinks, err)
		}
		for _, got := range rates {
			count++
			if got.Radius > want+0.02+got.Spread {
				t.Errorf("%d units, gain %.3g, leak %g: %+v, above the %g of more directions", n, gain, m.Leak, got, want)
			}
			if math.Abs(got.Radius-want) <= 0.02+got.Spread {
				near++
			}
		}
	}
	if near < count*9/10 {
		t.Errorf("%d of %d agree", near, count)
	}
}

// Off the kinks nothing but the products with J counts, to the last bit.
func TestGrowthOffKinks(t *testing.T) {
	t.Run("float64", growthOffKinks[float64])
	t.Run("float32", growthOffKinks[float32])
}

func growthOffKinks[T deq.Float](t *testing.T) {
	const rows, steps, seed = 5, 60, 7
	r := rand.New(rand.NewPCG(8, 9))
	for _, n := range []int{1, 7, 30} {
		l := free[T](t, models.Rate{N: n, Gain: 1.4, Activation: "relu"}, 1, rows, 3)
		z := make([]T, rows*n)
		for i := range z[n:] { // the first row is at rest
			z[n+i] = T(r.NormFloat64())
		}
		e, err := l.At(make([]T, rows), z)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stability.Growth(e, steps, seed)
		if err != nil {
			t.Fatal(err)
		}
		v, jv := make([]T, rows*n), make([]T, rows*n)
		draw := rng.Stream(seed, "stability/radius")
		for i := range v {
			v[i] = T(draw.NormFloat64())
		}
		first, second := make([]float64, rows), make([]float64, rows)
		for k := range steps {
			if err := e.JVP(v, jv); err != nil {
				t.Fatal(err)
			}
			for b := range rows {
				sum := 0.0
				for _, x := range jv[b*n : (b+1)*n] {
					sum += float64(x) * float64(x)
				}
				size := math.Sqrt(sum)
				if k >= 45 {
					second[b] += math.Log(size)
				} else if k >= 30 {
					first[b] += math.Log(size)
				}
				if size == 0 {
					size = 1
				}
				for i := range n {
					v[b*n+i] = T(float64(jv[b*n+i]) / size)
				}
			}
		}
		for b := 1; b < rows; b++ {
			if want := math.Exp((first[b] + second[b]) / 30); got[b].Radius != want || got[b].Kinks != 0 {
				t.Errorf("%d units, row %d: %+v, want %v", n, b, got[b], want)
			}
		}
		if got[0].Kinks == 0 {
			t.Errorf("%d units: the row at rest is on no kink", n)
		}
	}
}

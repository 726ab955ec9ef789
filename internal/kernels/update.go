package kernels

import "math"

// The steps of optimisers round after every operation, from left to right: they give the
// same bits at every level and on every architecture.

// AdamStep holds the coefficients of [Adam].
type AdamStep[T Float] struct{ Beta1, Rest1, Beta2, Rest2, Rate, Inv, Eps, Keep T }

// Adam computes m = Beta1·m + Rest1·g, v = Beta2·v + Rest2·g·g and
// p = Keep·p − Rate·m/(√(v·Inv) + Eps).
func Adam[T Float](p, g, m, v []T, c AdamStep[T]) {
	checkLength(len(p), len(g))
	checkLength(len(p), len(m))
	checkLength(len(p), len(v))
	if len(p) > 0 && !adamVector(p, g, m, v, &c) {
		adamPortable(p, g, m, v, &c)
	}
}

func adamPortable[T Float](p, g, m, v []T, c *AdamStep[T]) {
	for i, gi := range g {
		mi := T(c.Beta1*m[i]) + T(c.Rest1*gi)
		vi := T(c.Beta2*v[i]) + T(T(c.Rest2*gi)*gi)
		m[i], v[i] = mi, vi
		p[i] = T(c.Keep*p[i]) - T(c.Rate*mi)/(T(math.Sqrt(float64(T(vi*c.Inv))))+c.Eps)
	}
}

// RMSPropStep holds the coefficients of [RMSProp].
type RMSPropStep[T Float] struct{ Beta, Rest, Rate, Eps T }

// RMSProp computes v = Beta·v + Rest·g·g and p = p − Rate·g/(√v + Eps).
func RMSProp[T Float](p, g, v []T, c RMSPropStep[T]) {
	checkLength(len(p), len(g))
	checkLength(len(p), len(v))
	if len(p) > 0 && !rmsPropVector(p, g, v, &c) {
		rmsPropPortable(p, g, v, &c)
	}
}

func rmsPropPortable[T Float](p, g, v []T, c *RMSPropStep[T]) {
	for i, gi := range g {
		v[i] = T(c.Beta*v[i]) + T(T(c.Rest*gi)*gi)
		p[i] -= T(c.Rate*gi) / (T(math.Sqrt(float64(v[i]))) + c.Eps)
	}
}

// MomentumStep holds the coefficients of [Momentum] and [Nesterov].
type MomentumStep[T Float] struct{ Decay, Mu, Rate T }

// Momentum computes v = Mu·v + (g + Decay·p) and p = p − Rate·v.
func Momentum[T Float](p, g, v []T, c MomentumStep[T]) {
	checkLength(len(p), len(g))
	checkLength(len(p), len(v))
	if len(p) > 0 && !momentumVector(p, g, v, &c) {
		momentumPortable(p, g, v, &c)
	}
}

func momentumPortable[T Float](p, g, v []T, c *MomentumStep[T]) {
	for i, gi := range g {
		v[i] = T(c.Mu*v[i]) + (gi + T(c.Decay*p[i]))
		p[i] -= T(c.Rate * v[i])
	}
}

// Nesterov computes h = g + Decay·p, v = Mu·v + h and p = p − Rate·(h + Mu·v).
func Nesterov[T Float](p, g, v []T, c MomentumStep[T]) {
	checkLength(len(p), len(g))
	checkLength(len(p), len(v))
	if len(p) > 0 && !nesterovVector(p, g, v, &c) {
		nesterovPortable(p, g, v, &c)
	}
}

func nesterovPortable[T Float](p, g, v []T, c *MomentumStep[T]) {
	for i, gi := range g {
		h := gi + T(c.Decay*p[i])
		v[i] = T(c.Mu*v[i]) + h
		p[i] -= T(c.Rate * (h + T(c.Mu*v[i])))
	}
}

package tasks

import (
	"fmt"
	"math"
)

const neurogymRef = `@misc{molano2022neurogym,
  author = {Molano-Maz{\'o}n, Manuel and Barbosa, Joao and Pastor-Ciurana, Jordi and Fradera, Marta and Zhang, Ru-Yuan and Forest, Jeremy and
            {del Pozo Lerida}, Jorge and Ji-An, Li and Cueva, Christopher J. and {de la Rocha}, Jaime and Narain, Devika and Yang, Guangyu Robert},
  title  = {{NeuroGym}: An Open Resource for Developing and Sharing Neuroscience Tasks},
  year   = {2022},
  note   = {PsyArXiv},
  doi    = {10.31234/osf.io/aqc9n}
}`

// firstVersion is the version of neurogym whose inputs differ from those of today's.
const firstVersion = "v0.0.1"

// noiseOf is the standard deviation of the noise of a step: neurogym divides σ by √dt with dt in ms.
func noiseOf(task string, sigma float64, none bool, dt float64) (float64, error) {
	if !(sigma >= 0) || math.IsInf(sigma, 1) {
		return 0, fmt.Errorf("tasks: %s: sigma: expected a finite number of at least 0, found %v", task, sigma)
	}
	if none {
		return 0, nil
	}
	return sigma / math.Sqrt(dt), nil
}

// checkCoherences verifies coherences in percent.
func checkCoherences(task string, coherences []float64) error {
	for _, c := range coherences {
		if !(c >= 0 && c <= 100) {
			return fmt.Errorf("tasks: %s: coherences: expected numbers from 0 to 100, found %v", task, c)
		}
	}
	return nil
}

// discrimination is the probability that the sum of n differences of two inputs has the right
// sign, where a difference is d and each input has noise sd: Φ(d√n/(sd√2)).
func discrimination(d float64, n int, sd float64) float64 {
	if d == 0 || n == 0 {
		return 0.5
	}
	return math.Erfc(-d*math.Sqrt(float64(n))/(2*sd)) / 2
}

// coherent is the mean of [discrimination] over coherences in percent.
func coherent(coherences []float64, n int, sd float64) float64 {
	sum := 0.0
	for _, c := range coherences {
		sum += discrimination(c/100, n, sd)
	}
	return sum / float64(len(coherences))
}

// pick draws an element.
func pick[E any](t *trial, of []E) E { return of[t.IntN(len(of))] }

// opposed adds a pair of inputs around 0.5: the one that is favoured, 0 or 1, has half of the
// difference more.
func (t *trial) opposed(when span, inputs, favoured int, difference float64) {
	t.add(when, inputs+favoured, 0.5+difference/2)
	t.add(when, inputs+1-favoured, 0.5-difference/2)
}

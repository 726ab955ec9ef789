package models

// gate is a product with weights of its own in a cell that has several.
type gate struct {
	name       string
	gain, bias float64 // of W and b at the start
}

// gated lists the parameters of a cell of n units with some gates: for each a W [n, n], a U [n, inputs] and a
// b [n]; and Wo [outputs, n], bo [outputs].
func gated(n, inputs, outputs int, inputGain float64, gates []gate) []Param {
	var params []Param
	for _, g := range gates {
		params = append(params,
			Param{Name: "W" + g.name, Shape: []int{n, n}, Role: Recurrent, Init: Normal{Gain: g.gain}},
			Param{Name: "U" + g.name, Shape: []int{n, inputs}, Role: Input, Init: Normal{Gain: inputGain}},
			Param{Name: "b" + g.name, Shape: []int{n}, Role: Bias, Init: Constant{Value: g.bias}})
	}
	return append(params,
		Param{Name: "Wo", Shape: []int{outputs, n}, Role: Readout, Init: Normal{Gain: 1}},
		Param{Name: "bo", Shape: []int{outputs}, Role: Readout, Init: Zeros{}})
}

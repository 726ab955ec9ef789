package compare

// learningRates are the learning rates of `compare`, by setting and rule: of those in Grid
// the one that Tune chooses on the digits, with the default configuration and seeds 1 to 3
// (`attractor compare --tune` repeats the choice and prints the table). It looks at a fifth of
// the training data that is held out; the test data has no say in it.
var learningRates = map[string]map[string]float64{
	"all-trained": {
		"implicit": 0.1, "jfb": 0.3, "bptt": 0.1, "reparam-gradient": 0.3, "eqprop": 0.03,
		"neumann": 0.1, "phantom": 0.3, "shine": 0.3, "unrolled": 0.1, "reversible": 0.3, ReadoutOnly: 0.3,
	},
	"credit-critical": {
		"implicit": 0.03, "jfb": 0.1, "bptt": 0.03, "reparam-gradient": 0.03, "eqprop": 0.03,
		"neumann": 0.1, "phantom": 0.3, "shine": 0.1, "unrolled": 0.03, "reversible": 0.1, ReadoutOnly: 0.3,
	},
}

// defaultLearningRate is for a rule that is not in the table.
const defaultLearningRate = 0.03

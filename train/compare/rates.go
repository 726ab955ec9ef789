package compare

// learningRates are the learning rates of `compare`, by setting and rule: of the grid in
// Grid the one with the best mean accuracy on a fifth of the training data that was
// held out (`attractor compare --tune` repeats the choice). The test data had no say in it.
var learningRates = map[string]map[string]float64{}

// defaultLearningRate is for a rule that is not in the table.
const defaultLearningRate = 0.001

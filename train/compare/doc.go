// Package compare trains one model on one task by several learning rules over several
// seeds and says which differences are more than noise.
//
// Trials with the same seed are paired: they share initial parameters and batches, so that
// two rules are compared by the differences of their trials (Compare), not by whether two
// intervals overlap. Summarise makes the rows of a setting from its trials, Findings puts
// them into words, WriteTable prints them and WriteReport makes a page of them that needs
// nothing but itself.
package compare

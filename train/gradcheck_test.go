package train_test

import (
	"context"
	"testing"

	"attractor/models"
	"attractor/train"
)

// Every exact rule agrees with finite differences on every activation; the others are told apart.
func TestGradCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute with the race detector, which has nothing to find in it")
	}
	parts := train.Ours[float64]()
	for _, rule := range parts.Rules.Entries() {
		for _, activation := range models.Activations {
			if !rule.Value.Exact() && activation != "tanh" {
				continue
			}
			t.Run(rule.Name+"/"+activation, func(t *testing.T) {
				c, err := train.Read(parts, "test", nil, []string{
					"rule=" + rule.Name, "model.activation=" + activation, "model.units=12", "model.gain=0.5", "task=blobs",
				})
				if err != nil {
					t.Fatal(err)
				}
				rep, err := train.GradCheck(context.Background(), c.Suited(parts), parts)
				if err != nil {
					t.Fatal(err)
				}
				if rep.Holds != rule.Value.Exact() {
					t.Errorf("holds: %v, the rule says that it is exact: %v\n%+v", rep.Holds, rule.Value.Exact(), rep.Parameters)
				}
				if len(rep.Parameters) != 5 {
					t.Errorf("%d parameters checked, want 5", len(rep.Parameters))
				}
			})
		}
	}
}

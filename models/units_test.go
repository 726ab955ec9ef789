package models_test

import (
	"testing"

	"attractor/models"
)

func TestWithUnits(t *testing.T) {
	for _, e := range models.Catalog.Entries() {
		m, ok := models.WithUnits(e.Value, 7)
		if !ok || m.Units() != 7*models.Slots(e.Value) || e.Value.Units() == m.Units() {
			t.Errorf("%s: %v, %v", e.Name, m, ok)
		}
	}
	if m, _ := models.WithUnits(models.Rate{Gain: 3, N: 5}, 7); m != (models.Rate{Gain: 3, N: 7}) {
		t.Errorf("other options change: %+v", m)
	}
	if _, ok := models.WithUnits(models.Rate{}, 0); ok {
		t.Error("0 units are taken")
	}
}

package train

import (
	"context"

	"attractor/train/rules"
)

// Reach finds out by trial which parameters of the cell the rule teaches, without touching the run. A rule may leave some
// as they were drawn, in silence: warning then names those of them that are to learn.
func (t *Trainer[T]) Reach(ctx context.Context) (reach rules.Reach, warning string, err error) {
	c := t.Config
	if reach, err = rules.ReachOf(ctx, c.Rule.Value, c.Model.Value); err != nil {
		return reach, "", err
	}
	learn := []string{}
	for _, i := range t.trained {
		learn = append(learn, t.Layer.Params[i].Name)
	}
	return reach, reach.Warning(c.Rule.Name, c.Model.Name, learn), nil
}

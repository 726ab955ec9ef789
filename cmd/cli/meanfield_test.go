package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"attractor/train"
)

// The theory of a network that fluctuates strongly takes minutes, and can be interrupted.
func TestMeanfieldInterrupted(t *testing.T) {
	var out, log bytes.Buffer
	p := &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: &out, stderr: &log}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := p.run(ctx, []string{"meanfield", "--g", "4", "--target", "1"}); code != exitInterrupted || out.Len() > 0 || !strings.Contains(log.String(), "interrupted") {
		t.Errorf("exit code %d, %q, %q", code, out.String(), log.String())
	}
}

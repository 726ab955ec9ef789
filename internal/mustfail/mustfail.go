// Package mustfail tests tests: that a contract refuses what it must refuse.
package mustfail

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const variable = "ATTRACTOR_MUST_FAIL"

// With demands that the contract fails and says want. The contract runs in a process of its own, so that its
// failure is not the caller's; the caller is a test, or a subtest whose name holds no slash, that does nothing else.
func With(t *testing.T, want string, contract func(*testing.T)) {
	t.Helper()
	if os.Getenv(variable) == t.Name() {
		contract(t)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), program, "-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	run.Env = append(os.Environ(), variable+"="+t.Name())
	out, err := run.CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || !strings.Contains(string(out), want) {
		t.Errorf("the contract ended with %v, want a failure with the words %q; it said:\n%s", err, want, out)
	}
}

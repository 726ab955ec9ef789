package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// A value that is no number is told in words, and not by a function of the standard library.
func TestNumbers(t *testing.T) {
	for flag, want := range map[string]string{
		"--input=1,,2": "expected a number, found nothing", "--input=1,x": `expected a number, found "x"`, "--input=1e400": `found "1e400", which is too large`,
		"--tol=x": "must be a number", "--starts=1.5": "must be an integer", "--seed=-1": "must be a non-negative integer", "--json=maybe": `expected true or false, found "maybe"`,
	} {
		if code, _, stderr := run(t, "analyze", "x.npz", flag); code != exitUsage || !strings.Contains(stderr, want) || strings.Contains(stderr, "strconv") {
			t.Errorf("%s: exit code %d, %s", flag, code, stderr)
		}
	}
}

// What the machine does not give is no fault of the command line, whatever wraps it.
func TestExitCodesOfTheMachine(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{usagef("train: %w", &fs.PathError{Op: "mkdir", Path: "d", Err: syscall.ENOSPC}), exitFailed},
		{usagef("train: %w", &fs.PathError{Op: "mkdir", Path: "d", Err: syscall.EACCES}), exitFailed},
		{usagef("train: %w", &fs.PathError{Op: "mkdir", Path: "d", Err: syscall.EROFS}), exitFailed},
		{usagef("train: %w", &fs.PathError{Op: "open", Path: "d", Err: syscall.ENOENT}), exitUsage},
		{usagef("bad"), exitUsage},
		{fmt.Errorf("check: %w", errCheck), exitCheck},
		{fmt.Errorf("stop: %w", errInterrupted), exitInterrupted},
		{errors.New("other"), exitFailed},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

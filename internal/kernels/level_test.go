package kernels

import (
	"strings"
	"testing"
)

func TestStartLevel(t *testing.T) {
	for _, c := range []struct {
		value string
		level Level
		err   string
	}{
		{"", detected, ""},
		{"portable", Portable, ""},
		{"sse9", detected, "ATTRACTOR_KERNELS: unknown level \"sse9\" (known: portable, avx2, avx512)"},
		{"portabel", detected, "did you mean \"portable\"?"},
	} {
		level, err := startLevel(c.value)
		if level != c.level {
			t.Errorf("%q: level %v, want %v", c.value, level, c.level)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.value, err, c.err)
		}
	}
	if detected < AVX512 {
		if level, err := startLevel("avx512"); level != detected || err == nil {
			t.Errorf("avx512 where there is none: %v, %v", level, err)
		}
	}
}

func TestSetLevel(t *testing.T) {
	before := Current()
	restore := SetLevel(Portable)
	if Current() != Portable {
		t.Errorf("Current() = %v after SetLevel(portable)", Current())
	}
	restore()
	if Current() != before {
		t.Errorf("Current() = %v after restore, want %v", Current(), before)
	}
	defer func() {
		if recover() == nil {
			t.Error("SetLevel(9) did not panic")
		}
	}()
	SetLevel(9)
}

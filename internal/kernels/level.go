package kernels

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/cpu"

	"attractor/internal/catalog"
)

// Level is the set of processor instructions that the kernels use.
type Level int32

// The levels, each including those before it.
const (
	Portable Level = iota // plain Go
	AVX2                  // 256-bit vectors and fused multiply-add
	AVX512                // 512-bit vectors and masks
)

// LevelVariable is the environment variable that limits the level at start:
// portable, avx2 or avx512.
const LevelVariable = "ATTRACTOR_KERNELS"

var levelNames = [...]string{"portable", "avx2", "avx512"}

// String returns the name that [LevelVariable] takes.
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("Level(%d)", int32(l))
	}
	return levelNames[l]
}

var (
	detected = detect()
	current  atomic.Int32
	startErr error
)

func init() {
	level, err := startLevel(os.Getenv(LevelVariable))
	startErr = err
	current.Store(int32(level))
}

func detect() Level {
	x := &cpu.X86
	switch {
	case !haveAssembly || !x.HasAVX2 || !x.HasFMA || !x.HasBMI2:
		return Portable
	case !x.HasAVX512F || !x.HasAVX512DQ || !x.HasAVX512BW || !x.HasAVX512VL:
		return AVX2
	}
	return AVX512
}

func startLevel(value string) (Level, error) {
	if value == "" {
		return detected, nil
	}
	for i, name := range levelNames {
		if name != value {
			continue
		}
		if Level(i) > detected {
			return detected, fmt.Errorf("kernels: %s=%s: this processor offers no more than %v: set it to that, or leave it out", LevelVariable, value, detected)
		}
		return Level(i), nil
	}
	return detected, fmt.Errorf("kernels: %s: %w", LevelVariable, catalog.Unknown("level", value, levelNames[:]))
}

// Detected returns the highest level that this processor offers.
func Detected() Level { return detected }

// Current returns the level in use.
func Current() Level { return Level(current.Load()) }

// Levels returns the levels that this processor offers, lowest first.
func Levels() []Level { return []Level{Portable, AVX2, AVX512}[:detected+1] }

// StartError returns what was wrong with [LevelVariable] at start, in which
// case the detected level is in use, or nil. The program refuses to run then.
func StartError() error { return startErr }

// SetLevel changes the level in use, for tests and benchmarks, and returns a
// function that changes it back. It panics if the processor does not offer the
// level. It must not be called while kernels run.
func SetLevel(l Level) (restore func()) {
	if l < Portable || l > detected {
		panic(fmt.Sprintf("kernels: SetLevel(%v) on a processor that offers %v", l, detected))
	}
	old := current.Swap(int32(l))
	return func() { current.Store(old) }
}

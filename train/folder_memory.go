package train

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"attractor/deq"
	"attractor/models"
)

// checkMemory refuses a model whose parameters, with their gradients and the two moments of
// an optimiser, do not fit in the free memory.
func checkMemory[T deq.Float](params []models.Param) error {
	numbers := 0.0
	for _, p := range params {
		n := 1.0
		for _, d := range p.Shape {
			n *= float64(d)
		}
		numbers += n
	}
	need, free := 4*numbers*float64(unsafe.Sizeof(T(0))), float64(FreeMemory())
	if free > 0 && need > free || need > math.MaxInt64 {
		return fmt.Errorf("needs at least %s of memory for %.3g parameters, of which %s are free: use fewer units", gibibytes(need), numbers, gibibytes(free))
	}
	return nil
}

func gibibytes(n float64) string {
	if n /= 1 << 30; n >= 1024 {
		return fmt.Sprintf("%.1f TiB", n/1024)
	}
	return fmt.Sprintf("%.1f GiB", n)
}

// FreeMemory is an upper bound of the memory in bytes that this process may still take, or 0
// where the system does not tell.
func FreeMemory() int64 {
	free := int64(0)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var kb int64
			if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kb); n == 1 {
				free = kb << 10
			}
		}
	}
	// The limit of a container. What it holds already may be no more than cached files.
	if limit := readNumber("/sys/fs/cgroup/memory.max"); limit > 0 && (free == 0 || limit < free) {
		free = limit
	}
	return free
}

// readNumber is the number in a file, or 0.
func readNumber(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

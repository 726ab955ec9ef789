package budget

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

const (
	kb = 1 << 10
	gb = 1 << 30
)

func files(contents ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(contents); i += 2 {
		m[contents[i]] = &fstest.MapFile{Data: []byte(contents[i+1])}
	}
	return m
}

func TestFree(t *testing.T) {
	meminfo := "MemTotal:       33554432 kB\nMemAvailable:   16777216 kB\n"
	limits := "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max data size             %s            unlimited            bytes     \n" +
		"Max address space         %s           unlimited            bytes     \n"
	status := "VmPeak:\t 9 kB\nVmSize:\t 1048576 kB\nVmData:\t 524288 kB\n"
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		goes  int64
		want  int64
		limit string
	}{
		{"nothing known", files(), math.MaxInt64, math.MaxInt64, ""},
		{"machine", files("proc/meminfo", meminfo), math.MaxInt64, 16 * gb, "the free memory of the machine"},
		{"GOMEMLIMIT", files("proc/meminfo", meminfo), 3 * gb, 3 * gb, "GOMEMLIMIT"},
		{"GOMEMLIMIT passed", files("proc/meminfo", meminfo), -gb, 0, "GOMEMLIMIT"},
		{"address space", files("proc/meminfo", meminfo, "proc/self/limits", fmt.Sprintf(limits, "unlimited", "4294967296"), "proc/self/status", status), math.MaxInt64, 3 * gb, "ulimit -v"},
		{"data", files("proc/meminfo", meminfo, "proc/self/limits", fmt.Sprintf(limits, "1073741824", "unlimited"), "proc/self/status", status), math.MaxInt64, gb / 2, "ulimit -d"},
		{"version 2", files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/job/one\n",
			"sys/fs/cgroup/job/one/memory.max", "max\n",
			"sys/fs/cgroup/job/memory.max", "4294967296\n", "sys/fs/cgroup/job/memory.current", "2147483648\n", "sys/fs/cgroup/job/memory.stat", "file 3\ninactive_file 1073741824\n"),
			math.MaxInt64, 3 * gb, "the memory limit of the control group"},
		{"version 2 in a container", files("proc/meminfo", meminfo, "proc/self/cgroup", "0::/docker/unseen\n",
			"sys/fs/cgroup/memory.max", "2147483648\n", "sys/fs/cgroup/memory.current", "1073741824\n"),
			math.MaxInt64, gb, "the memory limit of the control group"},
		{"version 1", files("proc/meminfo", meminfo, "proc/self/cgroup", "5:devices:/\n4:cpu,memory:/slurm/job\n0::/\n",
			"sys/fs/cgroup/memory/slurm/job/memory.limit_in_bytes", "2147483648\n", "sys/fs/cgroup/memory/slurm/job/memory.usage_in_bytes", "536870912\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
			math.MaxInt64, 3 * gb / 2, "the memory limit of the control group"},
		{"version 1 passed", files("proc/self/cgroup", "4:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100\n", "sys/fs/cgroup/memory/a/memory.usage_in_bytes", "200\n"),
			math.MaxInt64, 0, "the memory limit of the control group"},
		{"damaged", files("proc/meminfo", "MemAvailable:\nMemAvailable", "proc/self/cgroup", "4\n::\n\n", "proc/self/limits", "Max address space"), math.MaxInt64, math.MaxInt64, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, limit := (system{c.files, c.goes}).free(); n != c.want || limit != c.limit {
				t.Errorf("%d by %q, want %d by %q", n, limit, c.want, c.limit)
			}
		})
	}
}

// The limits of a real process are seen: the test runs itself under a shell that sets them.
func TestRealLimits(t *testing.T) {
	if os.Getenv("BUDGET_CHILD") != "" {
		if os.Getenv("BUDGET_CHILD") == "observe" {
			Observe() // which is no limit of its own
		}
		fmt.Println(Free())
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("limits are read from the files of Linux")
	}
	for _, c := range []struct{ set, want string }{
		{"export BUDGET_CHILD=observe; ulimit -v 4000000", "ulimit -v"}, {"ulimit -v 4000000", "ulimit -v"}, {"ulimit -d 1500000", "ulimit -d"},
		{"export GOMEMLIMIT=300MiB", "GOMEMLIMIT"}, {"export BUDGET_CHILD=observe GOMEMLIMIT=300MiB", "GOMEMLIMIT"},
	} {
		cmd := exec.Command("sh", "-c", c.set+` && exec "$0" -test.run '^TestRealLimits$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "BUDGET_CHILD=1")
		out, err := cmd.CombinedOutput()
		var n int64
		if _, scan := fmt.Sscan(string(out), &n); err != nil || scan != nil || !strings.Contains(string(out), c.want) || n <= 0 || n >= 4000000*kb {
			t.Errorf("%s: %v\n%s", c.set, err, out)
		}
	}
}

func TestFit(t *testing.T) {
	if err := Fit(1, "a byte", "nothing"); err != nil {
		t.Error(err)
	}
	for _, need := range []float64{1e18, math.Inf(1), math.NaN()} {
		var e *Error
		if err := Fit(need, "a layer of 9 units", "use fewer units"); !errors.As(err, &e) || !strings.Contains(err.Error(), "use fewer units") {
			t.Errorf("%v: %v", need, err)
		}
	}
}

// Garbage does not stand in the way of what is taken next.
func TestFitAfterGarbage(t *testing.T) {
	runtime.GC()
	old, percent := debug.SetMemoryLimit(256<<20), debug.SetGCPercent(-1)
	defer debug.SetMemoryLimit(old)
	defer debug.SetGCPercent(percent)
	work := make([]byte, 100<<20)
	work[len(work)-1] = 1
	if err := Fit(200<<20, "what stands beside it", ""); err == nil {
		t.Error("300 MiB fit in 256 MiB")
	}
	runtime.KeepAlive(work)
	work = nil
	if err := Fit(200<<20, "what comes after it", ""); err != nil {
		t.Error(err)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[float64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 5 << 30: "5 GiB", math.Inf(1): "+Inf EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

// Products and sums are those of numbers of any length, or an error.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 9), rapid.IntRange(0, math.MaxInt), rapid.SampledFrom([]int{-1, 1 << 31, 1 << 32, 1 << 62, math.MaxInt, math.MinInt})), 0, 5).Draw(t, "counts")
		product, sum, negative := big.NewInt(1), new(big.Int), false
		for _, n := range counts {
			product.Mul(product, big.NewInt(int64(n)))
			sum.Add(sum, big.NewInt(int64(n)))
			negative = negative || n < 0
		}
		for _, c := range []struct {
			want *big.Int
			got  func(...int) (int, error)
		}{{product, Product}, {sum, Sum}} {
			n, err := c.got(counts...)
			var e *CountError
			switch {
			case negative || !c.want.IsInt64():
				if !errors.As(err, &e) {
					t.Errorf("%v: %d, %v, want a *CountError", counts, n, err)
				}
			case err != nil || int64(n) != c.want.Int64():
				t.Errorf("%v: %d, %v, want %v", counts, n, err, c.want)
			}
		}
	})
}

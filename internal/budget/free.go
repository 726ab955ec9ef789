// Package budget counts sizes before they are taken: how much memory the process may still have,
// whether something fits in it, and products and sums of counts that do not overflow.
package budget

import (
	"bufio"
	"cmp"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
)

// Free returns an upper bound of the memory in bytes that this process may still take, and what
// sets it: the free memory of the machine, the limit of a control group (version 1 or 2), that of
// the address space or of the data (ulimit -v, ulimit -d), or GOMEMLIMIT. Where the system does
// not tell, it is math.MaxInt64 and no name.
func Free() (bytes int64, limit string) { return system{os.DirFS("/"), goLimit()}.free() }

// system is what tells of the limits: the files of Linux, and what Go may still take.
type system struct {
	files  fs.FS
	goFree int64 // math.MaxInt64 for no limit
}

// goLimit is what GOMEMLIMIT, or a call in its place, still leaves.
func goLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 || limit == observed.Load() {
		return math.MaxInt64
	}
	used := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(used)
	return limit - int64(used[0].Value.Uint64()-used[1].Value.Uint64()-used[2].Value.Uint64())
}

func (s system) free() (bytes int64, limit string) {
	bytes = math.MaxInt64
	least := func(n int64, name string) {
		if n = max(n, 0); n < bytes {
			bytes, limit = n, name
		}
	}
	if kb, ok := s.field("proc/meminfo", "MemAvailable:"); ok {
		least(kb<<10, "the free memory of the machine")
	}
	s.groups(least)
	for _, r := range []struct{ limit, used, name string }{
		{"Max address space", "VmSize:", "ulimit -v"}, {"Max data size", "VmData:", "ulimit -d"},
	} {
		most, ok := s.field("proc/self/limits", r.limit)
		used, known := s.field("proc/self/status", r.used)
		if ok && known {
			least(most-used<<10, r.name)
		}
	}
	least(s.goFree, "GOMEMLIMIT")
	if bytes == math.MaxInt64 {
		limit = ""
	}
	return bytes, limit
}

// groups tells least of the control groups that the process is in and of those around them.
// What a group has of cached files counts as free.
func (s system) groups(least func(n int64, name string)) {
	for line := range s.lines("proc/self/cgroup") {
		parts := strings.SplitN(line, ":", 3) // number, controllers, path
		if len(parts) != 3 {
			continue
		}
		root, most, used, cached := "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
		switch {
		case strings.Contains(","+parts[1]+",", ",memory,"):
			root, most, used, cached = root+"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		case parts[1] != "":
			continue
		}
		// In a container the path may be one of the machine; its own group is then the root.
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			at := path.Join(root, dir)
			if limit, ok := s.number(at + "/" + most); ok {
				held, _ := s.number(at + "/" + used)
				files, _ := s.field(at+"/memory.stat", cached)
				least(limit-max(held-files, 0), "the memory limit of the control group")
			}
			if dir == "/" {
				break
			}
		}
	}
}

// lines yields the lines of a file; none where it cannot be read.
func (s system) lines(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := s.files.Open(name)
		if err != nil {
			return
		}
		defer f.Close()
		for l := bufio.NewScanner(f); l.Scan(); {
			if !yield(l.Text()) {
				return
			}
		}
	}
}

// field is the number behind a name at the start of a line.
func (s system) field(file, name string) (int64, bool) {
	for line := range s.lines(file) {
		rest, ok := strings.CutPrefix(line, name)
		if words := strings.Fields(rest); ok && len(words) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			n, err := strconv.ParseInt(words[0], 10, 64)
			return n, err == nil // "unlimited" is no number
		}
	}
	return 0, false
}

// number is the number that a file holds alone.
func (s system) number(file string) (int64, bool) {
	for line := range s.lines(file) {
		n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		return n, err == nil // "max" is no number
	}
	return 0, false
}

// observed is the limit that Observe has set, which is not one of its own.
var observed atomic.Int64

// Observe makes the garbage collector work harder before a limit of the system is reached, of
// which it knows nothing by itself, unless GOMEMLIMIT says what it should do.
func Observe() {
	free, limit := system{os.DirFS("/"), math.MaxInt64}.free()
	if limit == "" || cmp.Or(os.Getenv("GOMEMLIMIT"), "off") != "off" {
		return
	}
	const share = 0.95 // for stacks and what the collector does not count
	total := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(total)
	most := int64(total[0].Value.Uint64()-total[1].Value.Uint64()) + int64(share*float64(free))
	observed.Store(most)
	debug.SetMemoryLimit(most)
}

// Garbage is the part of what is held that the collector lets pile up on top of it, for work that
// holds much: see Collect.
const Garbage = 0.1

// Collect makes the garbage collector start at that part, rather than when memory has doubled, for
// work that holds so many bytes, 64 MiB or more: of arrays of numbers, which it does not look into, and so
// at next to no cost. GOGC overrules it.
func Collect(held float64) {
	const large = 64 << 20
	if held >= large && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(int(100 * Garbage))
	}
}

package train

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"attractor/internal/folder"
	"attractor/internal/kernels"
)

// Environment is what a run was begun with.
type Environment struct {
	Program      string            `json:"program"` // version of attractor, and the build where that does not say all
	Go           string            `json:"go"`
	OS           string            `json:"os"` // for instance linux/amd64
	CPU          string            `json:"cpu,omitempty"`
	Instructions string            `json:"instructions"` // of the kernels
	Cores        int               `json:"cores"`
	Maxprocs     int               `json:"gomaxprocs"`
	Seed         uint64            `json:"seed"`
	Modules      map[string]string `json:"modules"` // versions of what it was built from
}

const modulePath = "attractor"

// ReadEnvironment looks at the process and the machine.
func ReadEnvironment(seed uint64) Environment {
	e := Environment{
		Program: "devel", Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: processor(),
		Instructions: kernels.Current().String(), Cores: runtime.NumCPU(), Maxprocs: runtime.GOMAXPROCS(0),
		Seed: seed, Modules: map[string]string{},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		e.Program = identified(e.Program)
		return e
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Replace != nil {
			m = m.Replace
		}
		switch {
		case m.Path == modulePath && m.Version != "" && m.Version != "(devel)":
			e.Program = m.Version
		case m.Path != modulePath && m.Path != "":
			e.Modules[m.Path] = m.Version
		}
	}
	e.Program = identified(e.Program)
	return e
}

// identified adds the build to a version that stands for many: that of a program built without
// version control, or from changed files.
func identified(version string) string {
	if version != "devel" && !strings.HasSuffix(version, "+dirty") {
		return version
	}
	if id := build(); id != "" {
		return version + "." + id
	}
	return version
}

// build is the beginning of the SHA-256 of the program's file, or nothing where that cannot be read.
var build = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return fmt.Sprintf("%.6x", sum.Sum(nil))
})

// ChangesSince says in what the surroundings differ from those in a file that was written when
// something began, a run for instance, and whether that is known.
func ChangesSince(path, what string) []string {
	var then Environment
	switch _, err := folder.ReadJSON(path, &then); {
	case errors.Is(err, fs.ErrNotExist):
		return []string{fmt.Sprintf("%s is missing: whether the %s goes on with the program and on the processor that it began with is not known, and the last bits of the results may differ", path, what)}
	case err != nil:
		return []string{fmt.Sprintf("%s: %v: whether the %s goes on with the program and on the processor that it began with is not known, and the last bits of the results may differ", path, err, what)}
	}
	return then.changes(what, ReadEnvironment(then.Seed))
}

// changes says in what the surroundings differ in which the last bits of a result may.
func (e Environment) changes(what string, now Environment) []string {
	var out []string
	tell := func(name, then, now string) {
		if then != now {
			out = append(out, fmt.Sprintf("%s was %s when the %s began and is %s now: the last bits of the results may differ", name, then, what, now))
		}
	}
	tell("attractor", e.Program, now.Program)
	tell("Go", e.Go, now.Go)
	tell("the system", e.OS, now.OS)
	tell("the instruction set", e.Instructions, now.Instructions)
	var modules []string
	for _, path := range slices.Sorted(maps.Keys(e.Modules)) {
		if then, now := e.Modules[path], cmp.Or(now.Modules[path], "missing"); then != now {
			modules = append(modules, fmt.Sprintf("%s (%s, %s now)", path, then, now))
		}
	}
	if n := len(modules); n > 0 {
		more := ""
		if n > 3 {
			more = fmt.Sprintf(" and %d more", n-3)
		}
		out = append(out, fmt.Sprintf("the program was built from other modules when the %s began: %s%s: the last bits of the results may differ", what, strings.Join(modules[:min(n, 3)], ", "), more))
	}
	return out
}

// processor is the name of the CPU, where the system tells.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

package train

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"attractor/internal/kernels"
)

// Environment is what a run was begun with.
type Environment struct {
	Program      string            `json:"program"` // version of attractor
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
	return e
}

// changes says in what the surroundings differ in which the last bits of a result may.
func (e Environment) changes(now Environment) []string {
	var out []string
	for _, c := range []struct{ what, then, now string }{
		{"attractor", e.Program, now.Program},
		{"Go", e.Go, now.Go},
		{"the system", e.OS, now.OS},
		{"the instruction set", e.Instructions, now.Instructions},
	} {
		if c.then != c.now {
			out = append(out, fmt.Sprintf("%s was %s when the run began and is %s now: the last bits of the results may differ", c.what, c.then, c.now))
		}
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

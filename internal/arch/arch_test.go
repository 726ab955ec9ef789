// Package arch tests the architecture: which package may import which.
package arch

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "attractor"

// allowed lists, for each of the project's folders, the project's folders that its packages
// may import. The first folder that holds a package is the one that counts.
// Imports go one way: cmd → train → {rules, tasks, losses, optim} → deq → {models, solvers} →
// internal.
var allowed = []struct {
	folder string
	may    []string // a package, or with /... everything in that folder
}{
	{"cmd/attractor", []string{"cmd/cli", "train/...", "deq/..."}},
	{"cmd/bench", []string{"train/...", "deq/...", "models", "solvers", "internal/..."}},
	{"cmd/peers", []string{"cmd/bench", "train/...", "deq/...", "models", "solvers", "internal/..."}},
	{"cmd/cli", []string{"cmd/cli", "cmd/bench", "cmd/peers", "train/...", "deq/...", "models/...", "solvers/...", "internal/..."}},
	{"train/kit", []string{"internal/catalog", "internal/options", "internal/rng"}}, // what every part needs
	{"train/experiments", []string{"train/experiments", "train", "train/compare", "train/rules", "train/readout", "train/tasks", "train/losses", "train/optim", "train/kit", "deq/...", "models/...", "solvers", "internal/..."}},
	{"train/compare", []string{"train", "train/rules", "train/tasks", "train/losses", "train/optim", "deq/...", "models", "solvers", "internal/..."}},
	{"train/rules", []string{"train/rules", "train/readout", "train/kit", "deq/...", "models", "solvers", "internal/..."}},
	{"train/readout", []string{"train/kit", "internal/..."}},
	{"train/tasks", []string{"train/tasks", "train/kit", "internal/..."}},
	{"train/losses", []string{"train/kit", "internal/..."}},
	{"train/optim", []string{"train/kit", "internal/..."}},
	{"train", []string{"train/kit", "train/rules", "train/tasks", "train/losses", "train/optim", "deq/...", "models", "solvers", "internal/..."}},
	{"deq", []string{"deq", "models", "solvers", "internal/..."}},
	{"models/modeltest", []string{"deq", "models", "internal/..."}}, // a contract for tests only
	{"models", []string{"models", "train/kit", "internal/..."}},
	{"solvers", []string{"solvers", "train/kit", "internal/..."}},
	{"internal/engine", []string{"internal/budget", "internal/ops", "internal/vjp", "internal/kernels"}},
	{"internal", []string{"internal/budget", "internal/kernels", "internal/vjp", "internal/rng", "internal/options", "internal/catalog", "internal/atomicfile", "internal/folder", "internal/regular", "internal/quote", "internal/halfprec"}},
}

// graphs are the only folders that may use Gorgonia: solvers, rules and the loop work on plain
// slices.
var graphs = []string{"models", "deq", "internal/vjp", "internal/ops", "internal/engine", "cmd/bench", "cmd/cli"}

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	all := packages(t)
	if len(all) < 20 {
		t.Fatalf("found only %d packages", len(all))
	}
	for _, p := range all {
		folder := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "gorgonia.org/") && !under(folder, graphs) {
				t.Errorf("%s imports %s: only %s build graphs", folder, imported, strings.Join(graphs, ", "))
			}
			target, ours := strings.CutPrefix(imported, module+"/")
			if ours && !permitted(folder, target) {
				t.Errorf("%s imports %s", folder, target)
			}
		}
	}
}

// The table itself can fail: the forbidden direction is refused.
func TestTableRefuses(t *testing.T) {
	for _, c := range [][2]string{{"solvers", "deq"}, {"deq", "train"}, {"models", "solvers"}, {"train/rules", "train"}, {"internal/engine", "deq"}, {"internal/figure", "train"}} {
		if permitted(c[0], c[1]) {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
}

func permitted(folder, target string) bool {
	for _, rule := range allowed {
		if !under(folder, []string{rule.folder}) {
			continue
		}
		for _, may := range rule.may {
			root, tree := strings.CutSuffix(may, "/...")
			if target == root || tree && strings.HasPrefix(target, root+"/") {
				return true
			}
		}
		return false
	}
	return false
}

func under(folder string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return folder == r || strings.HasPrefix(folder, path.Clean(r)+"/") })
}

// The top level holds what the project's layout says and nothing else.
func TestTopLevel(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "--full-name", ":/").Output()
	if err != nil {
		t.Skip("not in a git checkout")
	}
	known := []string{"deq", "models", "solvers", "train", "cmd", "internal", "go.mod", "go.sum", "README.md", "CONTRIBUTING.md", ".ci", ".gitignore"}
	for _, file := range strings.Fields(string(out)) {
		if top, _, _ := strings.Cut(file, "/"); !slices.Contains(known, top) {
			t.Errorf("%s is at the top level", top)
		}
	}
}

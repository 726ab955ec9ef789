package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// templates are the files that the README names to begin a part of one's own from.
var templates = map[string]string{
	"models/rate.go": "Rate", "solvers/picard.go": "Picard", "train/rules/jfb.go": "JFB", "train/rules/bptt.go": "BPTT", "train/tasks/blobs.go": "Blobs",
}

// A module outside holds parts of every kind, each of which passes its contract, trains and is trained by ours
// rightly or refused, and the templates compile when they are copied into it.
func TestForeignModule(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module of its own")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lab := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		path := filepath.Join(lab, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(lab, os.DirFS("testdata/lab")); err != nil {
		t.Fatal(err)
	}
	for file, part := range templates {
		if !bytes.Contains(readme, []byte("("+file+")")) {
			t.Errorf("the README does not name %s", file)
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		folder, base := filepath.Split(file)
		// The names of its package are qualified by a dot import; the part has another name.
		text = regexp.MustCompile(`(?m)^package \w+`).ReplaceAll(text, []byte("package mine\n\nimport . \"attractor/"+strings.TrimSuffix(folder, "/")+"\""))
		text = regexp.MustCompile(`\b`+part+`\b`).ReplaceAll(text, []byte("Mine"))
		write(filepath.Join("copied"+strings.TrimSuffix(base, ".go"), "mine.go"), text)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", sums)
	write("go.mod", []byte("module example.org/lab\n\ngo 1.26\n\nrequire attractor v0.0.0\n\nreplace attractor => "+filepath.ToSlash(root)+"\n"))
	run := func(arguments ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", arguments...)
		cmd.Dir = lab
		cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
		return string(out)
	}
	run("vet", "./...")
	run("test", "./...")
	list := run("run", ".", "list")
	for _, name := range []string{"divisive", "supralinear", "heavy-ball", "broadcast", "rings", "huber", "lion"} {
		if !strings.Contains(list, "  "+name+" ") {
			t.Errorf("list does not have %s:\n%s", name, list)
		}
	}
}

package folder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attractor/internal/atomicfile"
)

// helper is the variable that has the test's program claim a folder: see helperMain.
const helper = "ATTRACTOR_FOLDER_TEST"

func TestMain(m *testing.M) {
	if how := os.Getenv(helper); how != "" {
		os.Exit(helperMain(how, os.Args[1]))
	}
	os.Exit(m.Run())
}

// helperMain claims a folder, writes a file, says so, and waits for the end of its input.
func helperMain(how, dir string) int {
	claim := func() (*Folder, error) { return Claim(dir, empty) }
	if how == "fresh" {
		claim = func() (*Folder, error) { return Fresh(dir) }
	}
	f, err := claim()
	if err != nil {
		fmt.Println("refused:", err)
		return 1
	}
	if err := f.Write("owner", func(w io.Writer) error { _, err := fmt.Fprint(w, os.Getpid()); return err }); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("claimed", f.Dir)
	io.Copy(io.Discard, os.Stdin)
	if err := f.Demand("owner"); err != nil {
		fmt.Println("lost:", err)
		return 1
	}
	f.Keep()
	f.Close()
	return 0
}

func empty(files []string) error {
	if len(files) > 0 {
		return fmt.Errorf("found %v", files)
	}
	return nil
}

// process is a helper process.
type process struct {
	*exec.Cmd
	in   io.Closer
	said chan string
}

func start(t *testing.T, how, dir string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], dir), said: make(chan string, 1)}
	p.Env = append(os.Environ(), helper+"="+how)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		p.said <- strings.TrimSpace(line)
	}()
	return p
}

// Of many processes that claim one folder at once one has it, and nobody takes away what is
// in it.
func TestOneClaims(t *testing.T) {
	for _, there := range []bool{false, true} {
		for range 3 {
			dir := filepath.Join(t.TempDir(), "a", "run")
			if there {
				if err := os.MkdirAll(dir, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			var all []*process
			for range 6 {
				all = append(all, start(t, "claim", dir))
			}
			owner := 0
			for _, p := range all {
				switch said := <-p.said; {
				case strings.HasPrefix(said, "claimed"):
					if owner != 0 {
						t.Errorf("claimed by %d and by %d", owner, p.Process.Pid)
					}
					owner = p.Process.Pid
				case !strings.Contains(said, "in use by another process") && !strings.Contains(said, "found [owner]"):
					t.Errorf("said %q", said)
				}
			}
			for _, p := range all {
				p.in.Close()
				if err := p.Wait(); (err == nil) != (p.Process.Pid == owner) {
					t.Errorf("process %d, where %d has the folder: %v", p.Process.Pid, owner, err)
				}
			}
			if got, err := os.ReadFile(filepath.Join(dir, "owner")); err != nil || string(got) != fmt.Sprint(owner) {
				t.Errorf("written by %q, %v; want %d", got, err, owner)
			}
			only(t, dir, "owner")
		}
	}
}

// Every one of many processes that begin in the same second has a folder of its own.
func TestFreshForEach(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "same-name")
	var all []*process
	for range 8 {
		all = append(all, start(t, "fresh", dir))
	}
	var dirs []string
	for _, p := range all {
		said := <-p.said
		name, ok := strings.CutPrefix(said, "claimed ")
		if !ok || slices.Contains(dirs, name) {
			t.Errorf("said %q after %q", said, dirs)
		}
		dirs = append(dirs, name)
		p.in.Close()
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(filepath.Join(name, "owner")); err != nil || string(got) != fmt.Sprint(p.Process.Pid) {
			t.Errorf("%s was written by %q, %v", name, got, err)
		}
	}
}

// A process that was killed holds nothing, and its temporary files go.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	p := start(t, "claim", dir)
	if said := <-p.said; !strings.HasPrefix(said, "claimed") {
		t.Fatalf("said %q", said)
	}
	if _, err := Open(dir); !errors.As(err, new(*InUseError)) {
		t.Errorf("Open of a folder in use: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Wait(ctx, dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait, interrupted: %v", err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
	for _, name := range []string{".owner.tmp-0123abcd", ".owner.tmp-mine", ".hidden", "trials/.x.json.tmp-00000000", "trials/x"} {
		put(t, filepath.Join(dir, name), "left")
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	only(t, dir, ".hidden", ".owner.tmp-mine", "owner", "trials")
	only(t, filepath.Join(dir, "trials"), "x")
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// only demands these files and no others, hidden ones too.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s holds %q, %v; want %q", dir, got, err, want)
	}
}

// What a claim has made it takes away, and nothing else.
func TestUndo(t *testing.T) {
	tmp := t.TempDir()
	for _, tt := range []struct {
		name  string
		there []string // files before
		left  []string
	}{
		{"new", nil, nil},
		{"deep/er/new", nil, nil},
		{"empty", []string{}, []string{}},
		{"used", []string{"a", "mine"}, []string{"a", "foreign", "mine"}},
	} {
		dir := filepath.Join(tmp, tt.name)
		if tt.there != nil {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range tt.there {
			put(t, filepath.Join(dir, name), "before")
		}
		f, err := Claim(dir, func([]string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if err := f.WriteJSON(name, map[string]int{"x": 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Mkdir("trials"); err != nil {
			t.Fatal(err)
		}
		if tt.name == "used" {
			put(t, filepath.Join(dir, "foreign"), "another's")
		}
		f.Close()
		if tt.left == nil {
			if entries, _ := os.ReadDir(tmp); slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "new" || e.Name() == "deep" }) {
				t.Errorf("%s: %v is left", tt.name, entries)
			}
			continue
		}
		only(t, dir, tt.left...)
	}
}

func TestClaimRefuses(t *testing.T) {
	tmp := t.TempDir()
	put(t, filepath.Join(tmp, "file"), "")
	put(t, filepath.Join(tmp, "used", "a"), "")
	put(t, filepath.Join(tmp, "linked", "x", "b"), "")
	if err := os.Symlink(filepath.Join(tmp, "file"), filepath.Join(tmp, "linked", "link")); err != nil {
		t.Skip(err)
	}
	for name, want := range map[string]string{"file": "file", "file/below": "file", "used": "found [a]", "linked": "linked/link is a symbolic link to " + filepath.Join(tmp, "file")} {
		if _, err := Claim(filepath.Join(tmp, name), empty); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want an error with %q", name, err, want)
		}
	}
	only(t, filepath.Join(tmp, "used"), "a")
	if err := os.Symlink(filepath.Join(tmp, "used"), filepath.Join(tmp, "alias")); err != nil {
		t.Fatal(err)
	}
	f, err := Open(filepath.Join(tmp, "alias")) // a folder may be named by a link
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// A folder that is moved, emptied or replaced in use is told, and what has come in its place
// is left alone.
func TestLost(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"moved":    func(dir string) error { return os.Rename(dir, dir+"-away") },
		"removed":  os.RemoveAll,
		"replaced": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777)) },
		"of another": func(dir string) error {
			err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777))
			f, err2 := Claim(dir, empty)
			if err2 == nil {
				err2 = f.WriteJSON("a", 1)
				f.Keep()
			}
			return errors.Join(err, err2)
		},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		f, err := Claim(dir, empty)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.WriteJSON("a", 1), f.Demand("a"), lose(dir)); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Check": f.Check(), "Demand": f.Demand("a"), "WriteJSON": f.WriteJSON("b", 1)} {
			if !errors.As(err, new(*LostError)) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		f.Close()
		if _, err := os.Stat(filepath.Join(dir, "a")); name == "of another" && err != nil {
			t.Errorf("%s: the other's file is gone: %v", name, err)
		}
	}
}

func TestLinksInside(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	f, err := Claim(dir, empty)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "trials")); err != nil {
		t.Skip(err)
	}
	_, err = f.OpenFile("trials", os.O_RDWR|os.O_CREATE)
	for what, err := range map[string]error{"WriteJSON": f.WriteJSON("trials/t.json", 1), "Mkdir": f.Mkdir("trials"), "OpenFile": err} {
		if !errors.As(err, new(*atomicfile.LinkError)) {
			t.Errorf("%s through a link: %v", what, err)
		}
	}
	only(t, elsewhere)
}

// Every other byte of a file of JSON is told; one without a checksum is read.
func TestSealed(t *testing.T) {
	type record struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
	}
	f, err := Claim(filepath.Join(t.TempDir(), "run"), empty)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path, want := f.Path("r.json"), record{"sha255", 0.25}
	if err := f.WriteJSON("r.json", want); err != nil {
		t.Fatal(err)
	}
	var got record
	if sealed, err := ReadJSON(path, &got); !sealed || err != nil || got != want {
		t.Fatalf("read %+v, %v, %v", got, sealed, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for _, change := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0x07, 0x2a} {
			damaged := slices.Clone(whole)
			damaged[i] ^= change
			put(t, path, string(damaged))
			if _, err := ReadJSON(path, &got); err == nil {
				t.Errorf("byte %d %q for %q: not told", i, damaged[i], whole[i])
			}
		}
	}
	for n := range whole {
		put(t, path, string(whole[:n]))
		if _, err := ReadJSON(path, &got); err == nil {
			t.Errorf("the first %d of %d bytes: not told", n, len(whole))
		}
	}
	put(t, path, "{\n  \"name\": \"sha255\",\n  \"value\": 0.25\n}\n")
	if sealed, err := ReadJSON(path, &got); sealed || err != nil || got != want {
		t.Errorf("read %+v, %v, %v without a checksum", got, sealed, err)
	}
	put(t, path, string(whole)+" ")
	if _, err := ReadJSON(path, &got); !errors.Is(err, ErrDamaged) {
		t.Errorf("with a further byte: %v", err)
	}
}

// A link that leads nowhere is named, where a folder is asked for in its place.
func TestDanglingLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "none"), link); err != nil {
		t.Skip(err)
	}
	_, err := Claim(link, func([]string) error { return nil })
	var e *atomicfile.LinkError
	if !errors.As(err, &e) || e.Path != link {
		t.Errorf("error %v", err)
	}
}

package cli

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attractor/internal/datasets"
	"attractor/train"
)

// runData runs data on a set of two small files.
func runData(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	s := datasets.Set{Name: "mnist", Doc: "a test", Sources: []string{"https://test.invalid/"}, Where: "nobody"}
	for _, name := range []string{"one", "two"} {
		data := dataFiles[name]
		sum := sha256.Sum256([]byte(data))
		s.Files = append(s.Files, datasets.File{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	p := &program{name: "attractor", parts32: train.Ours[float32](), parts64: train.Ours[float64](), stdout: &out, stderr: &log, data: []datasets.Set{s}}
	code = p.run(ctx, append([]string{"data"}, args...))
	return code, out.String(), log.String()
}

var dataFiles = map[string]string{"one": "the first file", "two": strings.Repeat("the second file ", 5000)}

func dataServer(t *testing.T, files map[string]string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[strings.TrimPrefix(r.URL.Path, "/mirror/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(data))
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/mirror"
}

func TestDataFetch(t *testing.T) {
	t.Setenv(datasets.Variable, filepath.Join(t.TempDir(), "new"))
	want := func(code int, out, log string, wantCode int, texts ...string) {
		t.Helper()
		if code != wantCode {
			t.Errorf("exit code %d, want %d", code, wantCode)
		}
		for _, text := range texts {
			if !strings.Contains(out+log, text) {
				t.Errorf("%s%s, want %s", out, log, text)
			}
		}
	}
	wrong := dataServer(t, map[string]string{"one": dataFiles["one"], "two": strings.Replace(dataFiles["two"], "s", "S", 1)})
	code, out, log := runData(t, t.Context(), "fetch", "mnist", "--from", wrong)
	want(code, out, log, exitFailed, "two: expected SHA-256 ", "attractor data import mnist PATH")
	code, out, log = runData(t, t.Context(), "verify", "mnist")
	want(code, out, log, exitFailed, "mnist is partial", "absent")
	code, out, log = runData(t, t.Context(), "list")
	want(code, out, log, exitDone, "mnist  partial")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, out, log = runData(t, ctx, "fetch", "mnist", "--from", wrong)
	want(code, out, log, exitInterrupted, "interrupted")
	good := dataServer(t, dataFiles)
	code, out, log = runData(t, t.Context(), "fetch", "mnist", "--from", good, "--json")
	want(code, out, log, exitDone)
	var r dataReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.State != "present" || len(r.Files) != 2 || r.Bytes != 80014 {
		t.Errorf("%+v, %v", r, err)
	}
	code, out, log = runData(t, t.Context(), "verify")
	want(code, out, log, exitDone, "present")
	path := r.Files[0].Path
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[3]++
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	code, out, log = runData(t, t.Context(), "verify", "mnist", "--json")
	want(code, out, log, exitFailed, `"state": "wrong"`, "mnist is wrong")
	code, out, log = runData(t, t.Context(), "fetch", "mnist", "--from", good)
	want(code, out, log, exitDone, "fetched", "present")
}

func TestDataImport(t *testing.T) {
	t.Setenv(datasets.Variable, t.TempDir())
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, data := range dataFiles {
		w.WriteHeader(&tar.Header{Name: "package/data/" + name, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o666})
		w.Write([]byte(data))
	}
	w.Close()
	z.Close()
	from := filepath.Join(t.TempDir(), "data.tgz")
	if err := os.WriteFile(from, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, log := runData(t, t.Context(), "import", "mnist", t.TempDir()); code != exitUsage || !strings.Contains(log, "mnist: not found: ") {
		t.Errorf("exit code %d: %s", code, log)
	}
	if code, out, log := runData(t, t.Context(), "import", "mnist", from, "--json"); code != exitDone || !strings.Contains(out, `"state": "imported"`) {
		t.Errorf("exit code %d: %s%s", code, out, log)
	}
	if code, _, log := runData(t, t.Context(), "verify", "mnist"); code != exitDone {
		t.Errorf("exit code %d: %s", code, log)
	}
}

// An archive of the user's own is checked, kept and found again by its name.
func TestDataOwn(t *testing.T) {
	root := t.TempDir()
	t.Setenv(datasets.Variable, root)
	own := filepath.Join(t.TempDir(), "own.npz")
	put := func(labels ...float64) {
		t.Helper()
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, data := range map[string][]float64{"x.npy": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "y.npy": labels} {
			shape := fmt.Sprintf("(5, %d)", len(data)/5)
			head := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': %s, }\n", shape)
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			w.Write([]byte("\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), 0}) + head))
			binary.Write(w, binary.LittleEndian, data)
		}
		z.Close()
		if err := os.WriteFile(own, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put(1, 2, 3, 4, math.NaN())
	if code, _, log := runData(t, t.Context(), "import", "npz", own); code != exitUsage || !strings.Contains(log, `array "y": expected a finite number as element 4, found NaN`) {
		t.Errorf("exit code %d: %s", code, log)
	}
	put(1, 2, 3, 4, 5)
	if code, out, log := runData(t, t.Context(), "import", "npz", own); code != exitDone || !strings.Contains(out, "--set task.file=own.npz") {
		t.Errorf("exit code %d: %s%s", code, out, log)
	}
	if code, out, log := runData(t, t.Context(), "verify", "npz", "--json"); code != exitDone || !strings.Contains(out, `"name": "own.npz"`) {
		t.Errorf("exit code %d: %s%s", code, out, log)
	}
	if code, out, log := run(t, "train", "-q", "--task", "npz", "--set", "task.file=own", "--set", "model.units=4", "--epochs", "1", "--out", filepath.Join(root, "run")); code != exitDone {
		t.Errorf("exit code %d: %s%s", code, out, log)
	}
}

package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attractor/internal/catalog"
)

// testSet is a set of two files that cannot be compressed.
func testSet() (Set, map[string][]byte) {
	s, contents := Set{Name: "test"}, map[string][]byte{}
	r := rand.NewChaCha8([32]byte{1})
	for _, f := range []File{{Name: "big", Size: 300_000}, {Name: "small", Size: 1000}} {
		data := make([]byte, f.Size)
		r.Read(data)
		sum := sha256.Sum256(data)
		f.SHA256 = hex.EncodeToString(sum[:])
		s.Files, contents[f.Name] = append(s.Files, f), data
	}
	return s, contents
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func tarred(members map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range members {
		w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o666})
		w.Write(data)
	}
	w.Close()
	return b.Bytes()
}

func zipped(members map[string][]byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, data := range members {
		f, _ := w.Create(name)
		f.Write(data)
	}
	w.Close()
	return b.Bytes()
}

// holds demands that dir has these files of the set and no others.
func holds(t *testing.T, dir string, contents map[string][]byte, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("%v in the folder, want %v", entries, names)
	}
	for _, name := range names {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, contents[name]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func contains(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error\n%v, want\n%s", err, w)
		}
	}
}

func TestKnown(t *testing.T) {
	for _, s := range Sets {
		got, err := Find(s.Name)
		if err != nil || got.Size() < 50_000_000 || s.Doc == "" || s.Where == "" {
			t.Errorf("%s: %d bytes, %v", s.Name, got.Size(), err)
		}
		for _, f := range s.Files {
			if sum, err := hex.DecodeString(f.SHA256); err != nil || len(sum) != sha256.Size {
				t.Errorf("%s: SHA-256 %q", f.Name, f.SHA256)
			}
		}
		for _, u := range s.Sources {
			if !strings.HasPrefix(u, "https://") || !strings.HasSuffix(u, "/") {
				t.Errorf("source %q", u)
			}
		}
	}
	var unknown *catalog.UnknownError
	if _, err := Find("fashon-mnist"); !errors.As(err, &unknown) || unknown.Suggestion != "fashion-mnist" {
		t.Errorf("error %v", err)
	}
}

func TestRoot(t *testing.T) {
	t.Setenv(Variable, "here")
	if dir, err := Root(); err != nil || !filepath.IsAbs(dir) || filepath.Base(dir) != "here" {
		t.Errorf("%q, %v", dir, err)
	}
	t.Setenv(Variable, "")
	if dir, err := Dir("mnist"); err == nil && !strings.HasSuffix(filepath.ToSlash(dir), "/attractor/data/mnist") {
		t.Errorf("%q", dir)
	}
}

func TestVerify(t *testing.T) {
	s, contents := testSet()
	dir := t.TempDir()
	states := func() string {
		t.Helper()
		list, err := s.Verify(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, st := range list {
			m[st.Name] = string(st.State) + st.Error
		}
		return m["big"] + ", " + m["small"]
	}
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	changed := bytes.Clone(contents["small"])
	changed[500]++
	if got := states(); got != "absent, absent" {
		t.Error(got)
	}
	put("big.gz", gz(contents["big"]))
	put("small", contents["small"])
	if got := states(); got != "present, present" {
		t.Error(got)
	}
	put("big.gz", gz(contents["big"])[:200_000])
	put("small", changed)
	if got := states(); !strings.Contains(got, "expected the 300000 bytes of big, found an error after") || !strings.Contains(got, "expected SHA-256 ") {
		t.Error(got)
	}
	put("big", append(bytes.Clone(contents["big"]), 0))
	put("small", contents["small"][:999])
	if got := states(); !strings.Contains(got, "expected the 300000 bytes of big, found more") || !strings.Contains(got, "expected the 1000 bytes of small, found 999") {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Verify(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestImport(t *testing.T) {
	s, c := testSet()
	noise := map[string][]byte{"package/readme.md": []byte("hello"), "package/other.gz": gz([]byte("hello")), "package/data/": nil}
	with := func(m map[string][]byte) map[string][]byte {
		for k, v := range noise {
			if !strings.HasSuffix(k, "/") {
				m[k] = v
			}
		}
		return m
	}
	members := with(map[string][]byte{"package/data/big": c["big"], "package/data/renamed.gz": gz(c["small"])})
	for name, file := range map[string][]byte{
		"a.tar": tarred(members), "a.tgz": gz(tarred(members)), "no-suffix": gz(tarred(members)), "a.zip": zipped(members),
	} {
		t.Run(name, func(t *testing.T) {
			from, dir := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), "new", "test")
			if err := os.WriteFile(from, file, 0o666); err != nil {
				t.Fatal(err)
			}
			list, err := s.Import(t.Context(), dir, []string{from}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range list {
				if st.State != Imported || st.Path != filepath.Join(dir, st.Name) {
					t.Errorf("%+v", st)
				}
			}
			holds(t, dir, c, "big", "small")
			// A second time there is nothing to do.
			if list, err = s.Import(t.Context(), dir, []string{from}, nil); err != nil || list[0].State != Present {
				t.Errorf("%+v, %v", list, err)
			}
			// A folder with the archive in it does as well.
			dir = t.TempDir()
			if name != "no-suffix" {
				if _, err := s.Import(t.Context(), dir, []string{filepath.Dir(from)}, nil); err != nil {
					t.Fatal(err)
				}
				holds(t, dir, c, "big", "small")
			}
		})
	}
}

func TestImportFiles(t *testing.T) {
	s, c := testSet()
	from, dir := t.TempDir(), t.TempDir()
	put := func(name string, data []byte) string {
		t.Helper()
		p := filepath.Join(from, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, data, 0o666)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	put("deep/er/renamed", c["small"])
	wrong := bytes.Clone(c["big"])
	wrong[7]++
	big := put("big", wrong)
	_, err := s.Import(t.Context(), dir, []string{from}, nil)
	var incomplete *IncompleteError
	var content *ContentError
	if !errors.As(err, &incomplete) || len(incomplete.Missing) != 1 || !errors.As(incomplete.Close[0], &content) {
		t.Fatalf("error %v", err)
	}
	contains(t, err, "test: not found: big\n", big+": expected SHA-256 ")
	holds(t, dir, c, "small")

	put("big", c["big"][:1000])
	_, err = s.Import(t.Context(), dir, []string{big}, nil)
	contains(t, err, big+": expected the 300000 bytes of big, found 1000")
	put("big.gz", gz(c["big"])[:1000])
	_, err = s.Import(t.Context(), dir, []string{big + ".gz"}, nil)
	contains(t, err, "expected the contents of big, found a damaged file: unexpected EOF")
	put("big.gz", gz(append(bytes.Clone(c["big"]), make([]byte, 1<<20)...)))
	_, err = s.Import(t.Context(), dir, []string{big + ".gz"}, nil)
	contains(t, err, "expected the 300000 bytes of big, found more")
	_, err = s.Import(t.Context(), dir, []string{filepath.Join(from, "none")}, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	_, err = s.Import(t.Context(), dir, []string{put("cut.tgz", gz(tarred(map[string][]byte{"big": c["big"]}))[:100_000])}, nil)
	contains(t, err, "not found: big", "cut.tgz")
	holds(t, dir, c, "small")
	if _, err = s.Import(t.Context(), dir, []string{put("other", c["big"])}, nil); err != nil {
		t.Error(err)
	}
	holds(t, dir, c, "big", "small")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = s.Import(ctx, t.TempDir(), []string{from}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func FuzzImport(f *testing.F) {
	s, c := testSet()
	s.Files = s.Files[1:] // the small one
	f.Add(c["small"])
	f.Add(gz(c["small"]))
	f.Add(gz(tarred(map[string][]byte{"x/small": c["small"]})))
	f.Add(zipped(map[string][]byte{"x/small.gz": gz(c["small"])}))
	f.Fuzz(func(t *testing.T, data []byte) {
		from, dir := filepath.Join(t.TempDir(), "small"), t.TempDir()
		if err := os.WriteFile(from, data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := s.Import(t.Context(), dir, []string{from}, nil)
		if err == nil {
			holds(t, dir, c, "small")
			return
		}
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) {
			t.Fatalf("error %v", err)
		}
		holds(t, dir, c)
	})
}

// quick is a Fetcher that does not wait long.
func quick() Fetcher { return Fetcher{Pause: time.Millisecond, Idle: 2 * time.Second} }

// server serves these files, each request through the handler if there is one.
func server(t *testing.T, files map[string][]byte, wrap func(w http.ResponseWriter, r *http.Request, n int64, serve func())) (*httptest.Server, *atomic.Int64) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := n.Add(1)
		serve := func() {
			data, ok := files[path.Base(r.URL.Path)]
			if !ok {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(data)))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
		if wrap == nil {
			serve()
			return
		}
		wrap(w, r, k, serve)
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func TestFetch(t *testing.T) {
	s, c := testSet()
	for name, files := range map[string]map[string][]byte{
		"compressed": {"big.gz": gz(c["big"]), "small.gz": gz(c["small"])},
		"plain":      c,
	} {
		t.Run(name, func(t *testing.T) {
			srv, requests := server(t, files, nil)
			dir := filepath.Join(t.TempDir(), "test")
			f := quick()
			var last [2]int64
			f.Progress = func(_ string, done, total int64) { last = [2]int64{done, total} }
			list, err := f.Fetch(t.Context(), s, dir, srv.URL+"/mirror")
			if err != nil || list[0].State != Fetched || list[1].State != Fetched {
				t.Fatal(list, err)
			}
			if last[0] == 0 || last[0] != last[1] {
				t.Errorf("progress ended with %v", last)
			}
			holds(t, dir, c, "big", "small")
			before := requests.Load()
			if list, err = f.Fetch(t.Context(), s, dir, srv.URL); err != nil || list[0].State != Present || requests.Load() != before {
				t.Errorf("what was there was got again: %v, %v", list, err)
			}
		})
	}
}

// A connection that breaks again and again is taken up where it broke; a server that cannot
// do that is asked for everything again.
func TestFetchBroken(t *testing.T) {
	s, c := testSet()
	packed := gz(c["big"])
	for _, ranges := range []bool{true, false} {
		var sent, asked atomic.Int64
		srv, _ := server(t, map[string][]byte{"small.gz": gz(c["small"])}, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			if path.Base(r.URL.Path) != "big.gz" {
				serve()
				return
			}
			first, end := 0, len(packed)
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first); err == nil && ranges {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, end-1, end))
			} else {
				first = 0
			}
			w.Header().Set("Content-Length", fmt.Sprint(end-first))
			if ranges && first > 0 {
				w.WriteHeader(http.StatusPartialContent)
			}
			if k := asked.Add(1); k < 4 {
				end = min(end, int(k)*70_000)
			}
			n2, _ := w.Write(packed[min(first, end):end])
			sent.Add(int64(n2))
		})
		dir := t.TempDir()
		if _, err := quick().Fetch(t.Context(), s, dir, srv.URL); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, c, "big", "small")
		if ranges && sent.Load() != int64(len(packed)) {
			t.Errorf("%d bytes sent of %d", sent.Load(), len(packed))
		}
	}
}

func TestFetchFails(t *testing.T) {
	s, c := testSet()
	wrong := bytes.Clone(c["big"])
	wrong[1]++
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	good := map[string][]byte{"big.gz": gz(c["big"]), "small": c["small"]}
	type wrapper = func(w http.ResponseWriter, r *http.Request, n int64, serve func())
	status := func(code int) wrapper {
		return func(w http.ResponseWriter, r *http.Request, n int64, serve func()) { w.WriteHeader(code) }
	}
	for _, test := range []struct {
		name  string
		files map[string][]byte
		wrap  wrapper
		want  string
		most  int64 // requests; 0 for any number
	}{
		{"another sum", map[string][]byte{"big.gz": gz(wrong), "small": c["small"]}, nil, "big.gz: expected SHA-256 ", 0},
		{"more", map[string][]byte{"big.gz": gz(append(bytes.Clone(c["big"]), 0)), "small": c["small"]}, nil, "expected the 300000 bytes of big, found more", 0},
		{"less", map[string][]byte{"big": c["big"][:200_000], "small": c["small"]}, nil, "expected the 300000 bytes of big, found 200000", 0},
		{"cut gzip", map[string][]byte{"big.gz": gz(c["big"])[:200_000], "small": c["small"]}, nil, "unexpected EOF", 0},
		{"damaged gzip", map[string][]byte{"big.gz": {0x1f, 0x8b, 1}, "small": c["small"]}, nil, "expected the contents of big, found a damaged file", 0},
		{"login page", nil, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			fmt.Fprint(w, "<html>please log in")
		}, "found 19", 0},
		{"not there", nil, nil, "big: the server answers 404 Not Found", 4},
		{"forbidden", nil, status(401), "big.gz: the server answers 401 Unauthorized", 2},
		{"always busy", good, status(503), "the server answers 503 Service Unavailable", 8},
		{"busy for an hour", good, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}, "429", 2},
		{"always cut", good, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			w.Header().Set("Content-Length", "300000")
			w.Write(c["big"][:100_000])
		}, "expected 300000 bytes, the connection broke after 100000: ", 10},
		{"changed", good, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			w.Header().Set("Content-Length", fmt.Sprint(300_000+n))
			w.Write(c["big"][:100_000])
		}, "the file at the server has changed", 0},
		{"silent", good, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			w.Header().Set("Content-Length", "300000")
			w.Write(c["big"][:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "too little came for too long", 0},
		{"redirects", good, func(w http.ResponseWriter, r *http.Request, n int64, serve func()) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, "more than 10 redirections", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv, requests := server(t, test.files, test.wrap)
			dir := t.TempDir()
			f := quick()
			if test.name == "silent" {
				f.Idle, f.Attempts = 20*time.Millisecond, 2
			}
			_, err := f.Fetch(t.Context(), s, dir, srv.URL)
			contains(t, err, test.want)
			holds(t, dir, c)
			if test.most > 0 && requests.Load() > test.most {
				t.Errorf("%d requests, want at most %d", requests.Load(), test.most)
			}
		})
	}
	for from, want := range map[string]string{
		"ftp://localhost/x":                 `expected a URL that begins with https:// or http://, found "ftp://localhost/x"`,
		"/tmp":                              "expected a URL",
		"http://" + refused.Addr().String(): "connection refused",
	} {
		_, err := quick().Fetch(t.Context(), s, t.TempDir(), from)
		contains(t, err, want)
	}
}

// The second source is asked when the first one has something else.
func TestFetchSecondSource(t *testing.T) {
	s, c := testSet()
	bad, _ := server(t, map[string][]byte{"big.gz": gz(c["small"])}, nil)
	good, _ := server(t, c, nil)
	s.Sources = []string{bad.URL, good.URL}
	dir := t.TempDir()
	if _, err := quick().Fetch(t.Context(), s, dir, ""); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, c, "big", "small")
	s.Sources = []string{bad.URL, bad.URL + "/other"}
	_, err := quick().Fetch(t.Context(), s, t.TempDir(), "")
	contains(t, err, bad.URL+"/big.gz: expected", bad.URL+"/other/big.gz: expected")
}

// An interrupt in the middle of a file leaves the files that are whole.
func TestFetchInterrupted(t *testing.T) {
	s, c := testSet()
	s.Files[0], s.Files[1] = s.Files[1], s.Files[0]
	for _, archive := range []string{"", "a.tar.gz"} {
		s.Archive = archive
		ctx, cancel := context.WithCancel(t.Context())
		files := map[string][]byte{"small": c["small"], "big": c["big"]}
		var all bytes.Buffer
		w := tar.NewWriter(&all)
		for _, name := range []string{"small", "big"} {
			w.WriteHeader(&tar.Header{Name: "x/" + name, Typeflag: tar.TypeReg, Size: int64(len(c[name])), Mode: 0o666})
			w.Write(c[name])
		}
		w.Close()
		files["a.tar.gz"] = gz(all.Bytes())
		srv, _ := server(t, files, nil)
		f := quick()
		f.Progress = func(file string, done, _ int64) {
			if file != "small" && done > 100_000 {
				cancel()
			}
		}
		dir := t.TempDir()
		if _, err := f.Fetch(ctx, s, dir, srv.URL); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		holds(t, dir, c, "small")
		f.Progress = nil
		if _, err := f.Fetch(t.Context(), s, dir, srv.URL); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, c, "big", "small")
	}
}

func TestFetchArchive(t *testing.T) {
	s, c := testSet()
	s.Archive = "a.tar.gz"
	whole := gz(tarred(map[string][]byte{"x/big": c["big"], "x/small": c["small"], "x/readme": []byte("hello")}))
	srv, _ := server(t, map[string][]byte{"a.tar.gz": whole}, nil)
	dir := t.TempDir()
	if _, err := quick().Fetch(t.Context(), s, dir, srv.URL); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, c, "big", "small")
	for _, test := range []struct {
		archive []byte
		want    string
	}{
		{gz(tarred(map[string][]byte{"x/small": c["small"]})), "not found: big"},
		{gz(tarred(map[string][]byte{"x/small": c["small"], "x/big": c["small"]})), "expected the 300000 bytes of big, found 1000"},
		{whole[:len(whole)/4], "unexpected EOF"},
		{[]byte("<html>"), "found a damaged file"},
	} {
		srv, _ := server(t, map[string][]byte{"a.tar.gz": test.archive}, nil)
		_, err := quick().Fetch(t.Context(), s, t.TempDir(), srv.URL)
		contains(t, err, test.want)
	}
	// A file that cannot be kept is no reason to ask the next source.
	file := filepath.Join(dir, "big", "x")
	_, err := quick().Fetch(t.Context(), s, file, srv.URL)
	if err == nil {
		t.Error("no error for a folder that cannot be made")
	}
}

// A redirection from https to http is refused.
func TestFetchPlain(t *testing.T) {
	s, c := testSet()
	plain, _ := server(t, c, nil)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
	}))
	defer secure.Close()
	f := quick()
	f.Transport = secure.Client().Transport
	_, err := f.Fetch(t.Context(), s, t.TempDir(), secure.URL)
	contains(t, err, "redirects from https to http")
}

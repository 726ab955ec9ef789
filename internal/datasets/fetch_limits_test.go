package datasets

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Errors and progress hold neither passwords nor the queries of addresses, which are sent all the same.
func TestFetchDiscreet(t *testing.T) {
	s, c := testSet()
	const user, secret, token = "bob", "pa55word", "t0ken"
	var named atomic.Value
	named.Store("")
	fail := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, pass, _ := r.BasicAuth()
		if name != user || pass != secret || r.URL.Query().Get("sig") != token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		data, ok := c[strings.TrimPrefix(r.URL.Path, "/dir/")]
		if fail || !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Write(data)
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	base := fmt.Sprintf("http://%s:%s@%s/dir?sig=%s", user, secret, host, token)
	f := quick()
	f.Progress = func(file string, done, total int64) { named.Store(named.Load().(string) + " " + file) }
	quiet := func(text string) {
		t.Helper()
		for _, word := range []string{secret, token, user + ":"} {
			if strings.Contains(text, word) {
				t.Errorf("%q holds %q", text, word)
			}
		}
	}
	_, err := f.Fetch(t.Context(), s, t.TempDir(), base)
	contains(t, err, "http://…@"+host+"/dir/big?…: the server answers 404 Not Found")
	quiet(err.Error())
	fail = false
	dir := t.TempDir()
	if _, err := f.Fetch(t.Context(), s, dir, base); err != nil {
		t.Error(err)
	}
	quiet(named.Load().(string))
	for _, from := range []string{"ftp://bob:pa55word@h/x?t0ken", "http://bob:pa55/word@h", "http://bob:pa55word@h:port/?t0ken", "bob:pa55word@h", "http://bob:pa55word@127.0.0.1:1/?sig=t0ken"} {
		_, err := f.Fetch(t.Context(), s, t.TempDir(), from)
		if err == nil {
			t.Fatalf("%s is fetched", from)
		}
		quiet(strings.ReplaceAll(err.Error(), "pa55/word", secret))
	}
	for text, want := range map[string]string{
		`invalid proxy address "http://u:p@h:1": x`: `invalid proxy address "http://…@h:1": x`,
		`invalid proxy address "u:p@h:1": x`:        `invalid proxy address "…@h:1": x`,
		"https://h/a?b=c#d: broke after 3":          "https://h/a?…: broke after 3",
		"https://h/a: expected 3 bytes":             "https://h/a: expected 3 bytes",
	} {
		if got := discreet(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A source that never ends, in bytes, in attempts or in time, is given up.
func TestFetchEnds(t *testing.T) {
	s, _ := testSet()
	var requests atomic.Int64
	byteByByte := func(w http.ResponseWriter, r *http.Request) { // a byte more each time
		var at int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &at)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-299999/300000", at))
		w.Header().Set("Content-Length", fmt.Sprint(300000-at))
		code := http.StatusPartialContent
		if at == 0 {
			code = http.StatusOK
		}
		w.WriteHeader(code)
		w.Write([]byte{1})
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		set    func(f *Fetcher)
		want   string
		most   int64
	}{
		"bytes": {func(w http.ResponseWriter, r *http.Request) { // an endless comment in the header of a gzip file
			w.Write([]byte{0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3})
			for chunk := make([]byte, 1<<16); ; {
				for i := range chunk {
					chunk[i] = 'x'
				}
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, func(*Fetcher) {}, "", 2},
		"attempts":                  {byteByByte, func(f *Fetcher) { f.Attempts, f.Connects = 100, 7 }, "the connection broke after 7: ", 7},
		"attempts without progress": {byteByByte, func(*Fetcher) {}, "the connection broke after 4: ", 4},
		"drips": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "300000")
			for r.Context().Err() == nil {
				w.Write([]byte{1})
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}, func(f *Fetcher) { f.Attempts, f.Idle = 1, 100*time.Millisecond }, "too little came for too long", 1},
		"time": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "300000")
			w.Write([]byte{1})
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func(f *Fetcher) { f.Timeout, f.Idle = 30*time.Millisecond, time.Hour }, "it takes longer than 30ms", 1},
	} {
		t.Run(name, func(t *testing.T) {
			requests.Store(0)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1); c.answer(w, r) }))
			defer srv.Close()
			f := quick()
			c.set(&f)
			_, err := f.Fetch(t.Context(), s, t.TempDir(), srv.URL)
			if err == nil || !strings.Contains(err.Error(), c.want) || requests.Load() > c.most {
				t.Errorf("error %v after %d requests, want %q and at most %d", err, requests.Load(), c.want, c.most)
			}
		})
	}
}

// No more than a few times a file is received for it, however a source goes on.
func TestFetchReceives(t *testing.T) {
	d := quick().withDefaults().download(t.Context(), "http://h/a?b", "c", 1000)
	if d.url != "http://h/a/c?b" || d.limit != 4*1000+1<<20 {
		t.Errorf("%s, at most %d bytes", d.url, d.limit)
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 1<<16); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	d = quick().withDefaults().download(t.Context(), endless.URL, "c", 1000)
	defer d.Close()
	n := int64(0)
	for buf := make([]byte, 1<<15); ; {
		k, err := d.Read(buf)
		if n += int64(k); err != nil {
			contains(t, err, "more comes than the file can be")
			break
		}
	}
	if n > d.limit+1<<15 {
		t.Errorf("%d bytes received", n)
	}
}

package datasets

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answers gives every request the same answer, whose body breaks off.
type answers struct {
	status int
	header string // lines
	body   []byte
	breaks bool
}

func (a answers) RoundTrip(q *http.Request) (*http.Response, error) {
	h := http.Header{}
	for line := range strings.Lines(a.header) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			h.Add(k, strings.TrimSpace(v))
		}
	}
	var body io.Reader = bytes.NewReader(a.body)
	if a.breaks {
		body = io.MultiReader(body, broken{})
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(body), ContentLength: int64(len(a.body)), Request: q}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Whatever a server answers, the file is kept as it should be or not at all.
func FuzzFetch(f *testing.F) {
	s, c := testSet()
	s.Files = s.Files[1:] // the small one
	s.Sources = []string{"http://data.test/set"}
	for _, archive := range []bool{false, true} {
		f.Add(200, "", c["small"], false, archive)
		f.Add(200, "ETag: \"x\"", gz(c["small"]), false, archive)
		f.Add(206, "Content-Range: bytes 0-999/1000\nETag: \"x\"", c["small"], true, archive)
		f.Add(206, "Content-Range: bytes 9223372036854775807-/-1", c["small"], true, archive)
		f.Add(416, "Content-Range: bytes */5", c["small"], false, archive)
		f.Add(301, "Location: http://data.test/set", []byte{}, false, archive)
		f.Add(200, "", gz(tarred(map[string][]byte{"x/small": c["small"]})), false, archive)
	}
	f.Fuzz(func(t *testing.T, status int, header string, body []byte, breaks, archive bool) {
		set := s
		if archive {
			set.Archive = "all.tgz"
		}
		dir := t.TempDir()
		waits := 0
		f := Fetcher{Transport: answers{status, header, body, breaks}, wait: func(context.Context, time.Duration) { waits++ }}
		_, err := f.Fetch(t.Context(), set, dir, "")
		if waits > 100 {
			t.Errorf("%d further attempts", waits)
		}
		if err == nil {
			holds(t, dir, c, "small")
		} else {
			holds(t, dir, c)
		}
	})
}

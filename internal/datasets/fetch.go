package datasets

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Fetcher gets data sets from the network. The zero Fetcher honours the proxies of the
// environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
type Fetcher struct {
	Transport http.RoundTripper // nil for one that uses the proxies of the environment
	Attempts  int               // in a row without a further block of 16 KiB, of which 0 means 4
	Pause     time.Duration     // before the second attempt; it doubles; 0 means 1 s
	Idle      time.Duration     // how long a block of 16 KiB, or what is left, may take before the connection is given up; 0 means 30 s
	Timeout   time.Duration     // for the whole; 0 means 2 h
	Connects  int               // attempts for a file in all, also where some bytes came; 0 means 100
	Progress  Progress

	wait func(ctx context.Context, d time.Duration) // nil for the clock's
}

// block is the least that counts as progress: a source that drips is one that stands still.
const block = 16 << 10

// SourceError says that a server did not give what it was asked for.
type SourceError struct {
	URL    string
	Status int   // of HTTP; 0 where there was no answer, or not all of it
	At     int64 // bytes received
	Total  int64 // bytes announced; -1 for none
	Err    error
}

func (e *SourceError) Error() string {
	switch {
	case e.Status != 0:
		return fmt.Sprintf("%s: the server answers %d %s", e.URL, e.Status, http.StatusText(e.Status))
	case e.At > 0 && e.Total >= 0:
		return fmt.Sprintf("%s: expected %d bytes, the connection broke after %d: %v", e.URL, e.Total, e.At, e.Err)
	case e.At > 0:
		return fmt.Sprintf("%s: the connection broke after %d bytes: %v", e.URL, e.At, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.URL, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// AddressError says that a source is not an address of the web.
type AddressError struct{ Found string }

func (e *AddressError) Error() string {
	return fmt.Sprintf("expected a URL that begins with https:// or http://, found %q", e.Found)
}

// Fetch gets the files of a set that are not in dir yet, from the base URL given or else from
// the set's own sources, one after the other until one has them. A connection that breaks is
// taken up where it broke. A file is kept when its sum is right; nothing else is. No more than about
// four times the size of a file is received for it. Errors hold neither the passwords nor the queries of
// addresses.
func (f Fetcher) Fetch(ctx context.Context, s Set, dir, from string) ([]Status, error) {
	f = f.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeout, fmt.Errorf("it takes longer than %v: choose a larger timeout, or another source", f.Timeout))
	defer cancel()
	list, err := f.fetch(ctx, s, dir, from)
	if err != nil && err == ctx.Err() && !errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = &discreetError{err}
	}
	return list, err
}

// discreetError hides passwords and queries in the text of an error.
type discreetError struct{ error }

func (e *discreetError) Unwrap() error { return e.error }

func (e *discreetError) Error() string { return discreet(e.error.Error()) }

var (
	userinfo = regexp.MustCompile(`//[^\s"]*@`)
	bareUser = regexp.MustCompile(`[^\s"/]+:[^\s"/]*@`) // of a proxy without a scheme
	query    = regexp.MustCompile(`([a-zA-Z]+://[^\s"?#]*)[?#][^\s"]*?(:?)([\s"]|$)`)
)

// discreet hides in a text what addresses hold besides host and path.
func discreet(text string) string {
	text = bareUser.ReplaceAllString(userinfo.ReplaceAllString(text, "//…@"), "…@")
	return query.ReplaceAllString(text, "$1?…$2$3")
}

func (f Fetcher) fetch(ctx context.Context, s Set, dir, from string) ([]Status, error) {
	bases := s.Sources
	if from != "" {
		u, err := url.Parse(from)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, &AddressError{from}
		}
		bases = []string{from}
	}
	list, want, err := s.missing(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(want) > 0 && s.Archive != "" {
		err := f.first(ctx, bases, func(base string) error { return f.archive(ctx, s, dir, base, list, &want) })
		return list, err
	}
	for _, file := range want {
		err := f.first(ctx, bases, func(base string) error {
			data, err := f.file(ctx, file, base)
			if err != nil {
				return err
			}
			if err := file.keep(dir, data); err != nil {
				return &keepError{err}
			}
			got(list, dir, file, Fetched)
			return nil
		})
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

func (f Fetcher) withDefaults() Fetcher {
	if f.Transport == nil {
		f.Transport = http.DefaultTransport
	}
	if f.Attempts == 0 {
		f.Attempts = 4
	}
	if f.Pause == 0 {
		f.Pause = time.Second
	}
	if f.Idle == 0 {
		f.Idle = 30 * time.Second
	}
	if f.Timeout == 0 {
		f.Timeout = 2 * time.Hour
	}
	if f.Connects == 0 {
		f.Connects = 100
	}
	if f.wait == nil {
		f.wait = wait
	}
	return f
}

// wait returns after d, or as soon as ctx is done.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// keepError is a failure of this machine's disk, which no other source can mend.
type keepError struct{ error }

func (e *keepError) Unwrap() error { return e.error }

// first calls get with one base after the other until it succeeds.
func (f Fetcher) first(ctx context.Context, bases []string, get func(base string) error) error {
	var errs []error
	for _, base := range bases {
		err := get(base)
		var keep *keepError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &keep):
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// join is the address of a file below a base, whose query it keeps.
func join(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.JoinPath(name).String()
}

// file gets a file, compressed or, where there is no such file, plain.
func (f Fetcher) file(ctx context.Context, file File, base string) ([]byte, error) {
	var err error
	for _, name := range []string{file.Name + ".gz", file.Name} {
		d := f.download(ctx, base, name, file.Size)
		var data []byte
		if data, err = d.take(file); err == nil {
			return data, nil
		}
		var source *SourceError
		if !errors.As(err, &source) || source.Status != http.StatusNotFound && source.Status != http.StatusForbidden {
			break // which is what some stores answer for a file that they do not have
		}
	}
	return nil, err
}

// archive gets the files that are wanted out of a .tar.gz.
func (f Fetcher) archive(ctx context.Context, s Set, dir, base string, list []Status, want *[]File) error {
	d := f.download(ctx, base, s.Archive, s.Size())
	at := d.url
	defer d.Close()
	r, _, err := unpacked(d)
	if err != nil {
		return d.damaged(s.Archive, err)
	}
	t := tar.NewReader(r)
	for len(*want) > 0 {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return d.damaged(s.Archive, err)
		}
		for i, file := range *want {
			if h.Typeflag != tar.TypeReg || path.Base(h.Name) != file.Name {
				continue
			}
			data, err := file.take(at+": "+h.Name, t)
			if d.err != nil {
				return d.err
			}
			if err != nil {
				return err
			}
			if err := file.keep(dir, data); err != nil {
				return &keepError{err}
			}
			got(list, dir, file, Fetched)
			*want = append((*want)[:i:i], (*want)[i+1:]...)
			break
		}
	}
	if len(*want) > 0 {
		e := &IncompleteError{Set: s.Name + " in " + at}
		for _, file := range *want {
			e.Missing = append(e.Missing, file.Name)
		}
		return e
	}
	return nil
}

// download reads a URL, and goes on where it was when the connection breaks.
type download struct {
	Fetcher
	ctx    context.Context
	name   string // of the file
	url    string
	body   io.ReadCloser
	cancel context.CancelCauseFunc // of the request
	idle   *time.Timer
	at     int64
	total  int64         // -1 where the server does not say
	etag   string        // a strong one
	got    int64         // bytes in all, also those that came again
	limit  int64         // of them
	failed int           // attempts in a row
	fresh  int64         // bytes of the running block
	left   time.Duration // for the rest of that block
	tries  int           // in all
	ended  bool          // all of it has come
	err    error         // what ended it otherwise
}

// download prepares to get a file whose contents have that size.
func (f Fetcher) download(ctx context.Context, base, name string, size int64) *download {
	const times, more = 4, 1 << 20 // as a source may have it compressed or not, and connections break
	return &download{Fetcher: f, ctx: ctx, name: name, url: join(base, name), total: -1, limit: times*size + more}
}

// errTooMuch is what ends a download without an end.
var errTooMuch = errors.New("more comes than the file can be")

// take reads all of it and demands that it is the file.
func (d *download) take(file File) ([]byte, error) {
	defer d.Close()
	r, _, err := unpacked(d)
	if err != nil {
		return nil, d.damaged(file.Name, err)
	}
	data, err := file.take(d.url, r)
	if d.err != nil {
		return nil, d.err // and not that the contents are short
	}
	return data, err
}

// damaged is the failure of the connection or, if there is none, of what came over it.
func (d *download) damaged(file string, err error) error {
	if d.err != nil {
		return d.err
	}
	return &ContentError{Path: d.url, File: file, Expected: "the contents", Found: "a damaged file", Err: err}
}

func (d *download) Close() {
	if d.body != nil {
		d.idle.Stop()
		d.cancel(nil)
		d.body.Close()
		d.body = nil
	}
}

func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		if d.ended {
			return 0, io.EOF
		}
		if err := d.ctx.Err(); err != nil {
			d.err = err
			break
		}
		if d.body == nil {
			if err := d.connect(); err != nil {
				d.broken(err)
				continue
			}
		}
		d.idle.Reset(d.left)
		start := time.Now()
		n, err := d.body.Read(p)
		d.idle.Stop() // the time that is needed for what came does not count
		d.left = max(d.left-time.Since(start), 0)
		d.at += int64(n)
		if d.fresh += int64(n); d.fresh >= block {
			d.fresh, d.left, d.failed = 0, d.Idle, 0
		}
		if d.got += int64(n); d.got > d.limit {
			d.Close()
			d.err = &SourceError{URL: d.url, At: d.at, Total: -1, Err: errTooMuch}
			break
		}
		if n > 0 {
			d.Progress.tell(d.name, d.at, max(d.total, 0))
			return n, nil
		}
		switch {
		case err == io.EOF && (d.total < 0 || d.at == d.total):
			d.Close()
			d.ended = true
			continue
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			d.broken(err)
		}
	}
	return 0, d.err
}

// broken closes the connection and waits before the next attempt, or ends the download.
func (d *download) broken(err error) {
	d.Close()
	if d.ctx.Err() != nil {
		d.err = d.ctx.Err()
		return
	}
	var source *SourceError
	if !errors.As(err, &source) {
		source = &SourceError{URL: d.url, At: d.at, Total: d.total, Err: err}
	}
	d.failed++
	d.tries++
	wait, worth := d.worth(source)
	if !worth || d.failed >= d.Attempts || d.tries >= d.Connects {
		d.err = source
		return
	}
	d.wait(d.ctx, wait)
}

// retryAfter is an answer that asks to be left alone for a while.
type retryAfter time.Duration

func (r retryAfter) Error() string { return fmt.Sprintf("try again in %v", time.Duration(r)) }

// worth reports whether another attempt may succeed, and when to make it.
func (d *download) worth(err *SourceError) (time.Duration, bool) {
	wait := d.Pause << min(d.failed-1, 10)
	var after retryAfter
	if errors.As(err, &after) && time.Duration(after) > wait {
		const patience = time.Minute
		return time.Duration(after), time.Duration(after) <= patience
	}
	switch s := err.Status; {
	case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
		return wait, true
	case s != 0 || errors.Is(err, errPlain) || errors.Is(err, errChanged) || errors.Is(err, errTooMuch):
		return 0, false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return 0, false
	}
	return wait, d.at > 0 || !errors.Is(err, syscall.ECONNREFUSED)
}

var (
	errIdle    = errors.New("too little came for too long")
	errPlain   = errors.New("the server redirects from https to http")
	errChanged = errors.New("the file at the server has changed")
)

// connect asks for what is still missing.
func (d *download) connect() error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	idle := time.AfterFunc(d.Idle, func() { cancel(errIdle) })
	fail := func(err error) error {
		if context.Cause(ctx) == errIdle {
			err = errIdle
		}
		idle.Stop()
		cancel(nil)
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("User-Agent", "attractor")
	req.Header.Set("Accept-Encoding", "identity") // a .gz file is wanted as it is
	if d.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		if d.etag != "" {
			req.Header.Set("If-Range", d.etag)
		}
	}
	client := http.Client{Transport: d.Transport, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		switch {
		case len(via) >= 10:
			return errors.New("more than 10 redirections")
		case to.URL.Scheme != "https" && via[0].URL.Scheme == "https":
			return errPlain
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // which does not say the URL again
		}
		return fail(err)
	}
	if err := d.accept(res); err != nil {
		res.Body.Close()
		return fail(err)
	}
	d.body, d.idle, d.cancel, d.left = &idleBody{res.Body, ctx}, idle, cancel, d.Idle
	return nil
}

// idleBody says why a connection was given up.
type idleBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *idleBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && context.Cause(b.ctx) == errIdle {
		err = errIdle
	}
	return n, err
}

// accept takes an answer, and leaves its body at the first byte that is missing.
func (d *download) accept(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusOK:
		if d.at > 0 && d.total >= 0 && res.ContentLength >= 0 && res.ContentLength != d.total {
			return errChanged
		}
		d.total = res.ContentLength
		if d.got+d.at > d.limit {
			return errTooMuch
		}
		n, err := io.CopyN(io.Discard, res.Body, d.at)
		d.got += n
		if err != nil { // the server cannot resume
			return fmt.Errorf("of %d bytes again only %d: %w", d.at, n, err)
		}
	case http.StatusPartialContent:
		var first, last, total int64
		if n, _ := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); n < 2 || first != d.at || n == 3 && d.total >= 0 && total != d.total {
			return errChanged
		}
	default:
		e := &SourceError{URL: d.url, Status: res.StatusCode}
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
			e.Err = retryAfter(time.Duration(s) * time.Second)
		}
		return e
	}
	if tag := res.Header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		d.etag = tag
	}
	return nil
}

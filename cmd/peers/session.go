package peers

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed scripts
var scripts embed.FS

// Peer is another framework.
type Peer struct {
	Name         string
	script       string
	packages     []string
	requirements string // the file that pins the packages; empty for requirements.txt
}

// Torchdeq, JAX and NumPy are the peers.
var (
	Torchdeq = Peer{Name: "torchdeq", script: "torchdeq_peer.py", packages: []string{"torch", "torchdeq", "safetensors"}}
	JAX      = Peer{Name: "jax", script: "jax_peer.py", packages: []string{"jax", "jaxlib", "safetensors"}}
	NumPy    = Peer{Name: "numpy", script: "numpy_peer.py", packages: []string{"numpy", "threadpoolctl"}}
)

// pinned returns the packages of the peer as its requirements have them.
func (p Peer) pinned() []string {
	data, err := scripts.ReadFile("scripts/" + cmp.Or(p.requirements, "requirements.txt"))
	if err != nil {
		panic(err) // it is embedded
	}
	return slices.DeleteFunc(strings.Fields(string(data)), func(word string) bool {
		name, _, pin := strings.Cut(word, "==")
		return !pin || !slices.Contains(p.packages, name)
	})
}

// MissingError says that a peer is not installed.
type MissingError struct {
	Peer    Peer
	Python  string
	Missing []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("peers: %s is not measured, for %s lacks %s; install it by: %s -m pip install %s",
		e.Peer.Name, e.Python, strings.Join(e.Missing, ", "), e.Python, strings.Join(e.Peer.pinned(), " "))
}

// Session is a peer that runs. It must be closed.
type Session struct {
	Peer Peer
	Info Info

	dir    string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	errors *tail
}

// Info is what a peer says of itself.
type Info struct {
	Versions map[string]string `json:"versions"`
	BLAS     string            `json:"blas"`
	Threads  int               `json:"threads"`
	Note     string            `json:"note"` // how it differs
}

// Start runs the peer by the Python interpreter of that name. If the interpreter or a package is
// not there the error is a *MissingError. The session ends with the context.
func (p Peer) Start(ctx context.Context, python string) (_ *Session, err error) {
	path, err := exec.LookPath(python)
	if err != nil {
		return nil, &MissingError{Peer: p, Python: python, Missing: []string{"an interpreter of that name"}}
	}
	dir, err := os.MkdirTemp("", "attractor-peer-")
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	s := &Session{Peer: p, dir: dir, errors: &tail{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, name := range []string{"protocol.py", p.script} {
		data, err := scripts.ReadFile("scripts/" + name)
		if err != nil {
			return nil, fmt.Errorf("peers: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("peers: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, path, filepath.Join(dir, p.script))
	cmd.Env, cmd.Stderr, cmd.WaitDelay = environment(os.Environ()), s.errors, time.Second
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	s.out = bufio.NewScanner(out)
	s.out.Buffer(nil, 1<<24)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("peers: start %s: %w", p.Name, err)
	}
	s.cmd = cmd
	var hello struct {
		Info
		Missing []string `json:"missing"`
	}
	if err := s.reply(&hello); err != nil {
		return nil, err
	}
	if len(hello.Missing) > 0 {
		return nil, &MissingError{Peer: p, Python: python, Missing: hello.Missing}
	}
	s.Info = hello.Info
	return s, nil
}

// environment is that of the peers: one thread, no accelerator, and the kernel that their BLAS thinks best.
func environment(own []string) []string {
	set := map[string]string{
		"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
		"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1",
	}
	var all []string
	for _, v := range own {
		name, _, _ := strings.Cut(v, "=")
		if _, ours := set[name]; !ours && !strings.HasPrefix(name, "OPENBLAS_") && !strings.HasPrefix(name, "MKL_") {
			all = append(all, v)
		}
	}
	for name, value := range set {
		all = append(all, name+"="+value)
	}
	return all
}

// call sends a request and reads the reply.
func (s *Session) call(request map[string]any, into any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return s.ended(err)
	}
	return s.reply(into)
}

// ended says that the peer ended, and with which words. Its standard error is complete, and may
// be read, once it has been waited for.
func (s *Session) ended(cause error) error {
	s.wait()
	return fmt.Errorf("peers: %s ended: %w%s", s.Peer.Name, cause, s.errors)
}

// wait waits until the peer has ended, and ends one that goes on for a second without its input.
func (s *Session) wait() error {
	if s.cmd == nil || s.cmd.ProcessState != nil {
		return nil
	}
	s.in.Close()
	late := time.AfterFunc(time.Second, func() { s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	late.Stop()
	if err != nil && s.cmd.ProcessState == nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

func (s *Session) reply(into any) error {
	if !s.out.Scan() {
		return s.ended(errors.Join(s.out.Err(), io.ErrUnexpectedEOF))
	}
	var failed struct {
		Error string `json:"error"`
	}
	line := s.out.Bytes()
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("peers: %s replied %q: %w", s.Peer.Name, line, err)
	}
	if failed.Error != "" {
		return fmt.Errorf("peers: %s: %s", s.Peer.Name, failed.Error)
	}
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("peers: %s replied %q: %w", s.Peer.Name, line, err)
	}
	return nil
}

// times asks for a piece of work n times and returns the microseconds of one.
func (s *Session) times(request map[string]any, n int) (float64, error) {
	request["times"] = n
	var r struct {
		US    float64 `json:"us"`
		Cores float64 `json:"cores"`
	}
	if err := s.call(request, &r); err != nil {
		return 0, err
	}
	if !(r.US > 0) {
		return 0, fmt.Errorf("peers: %s replied that a run takes %v µs", s.Peer.Name, r.US)
	}
	if n*int(r.US) > 10_000 && r.Cores > 1.2 { // the clock of the processors is coarse
		return 0, fmt.Errorf("peers: %s runs on %.1f cores, not on one", s.Peer.Name, r.Cores)
	}
	return r.US, nil
}

// Gemm returns the microseconds of one of that many products of [m,k] by [k,n].
func (s *Session) Gemm(m, n, k, times int) (float64, error) {
	return s.times(map[string]any{"op": "gemm", "m": m, "n": n, "k": k}, times)
}

// Close ends the peer.
func (s *Session) Close() error {
	if err := s.wait(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// tail keeps the end of what is written to it, for messages.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 2000
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-most):]
	return len(p), nil
}

func (t *tail) String() string {
	if text := bytes.TrimSpace(t.last); len(text) > 0 {
		return "\n" + string(text)
	}
	return ""
}

package peers

import (
	"bufio"
	"bytes"
	"io"
	"testing"
)

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// Whatever a peer replies, the time is one that can be, or there is an error.
func FuzzReply(f *testing.F) {
	for _, line := range []string{
		`{"us": 20, "cores": 1}`, `{"us": -1}`, `{"us": 1e999}`, `{"error": "no"}`, `{"error": 3}`, `null`, `[]`, ``, `{"us": 20000, "cores": 2}`,
		`{"evals": {"forward": -1}, "loss": null}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		s := &Session{Peer: NumPy, in: nowhere{io.Discard}, out: bufio.NewScanner(bytes.NewReader(reply)), errors: &tail{}}
		if us, err := s.Gemm(1, 1, 1, 1); err == nil && !(us > 0) {
			t.Errorf("a time of %v µs", us)
		}
		var hello struct {
			Info
			Missing []string `json:"missing"`
		}
		s.out = bufio.NewScanner(bytes.NewReader(reply))
		if err := s.reply(&hello); err == nil {
			s.Info = hello.Info
			_ = s.String()
		}
	})
}

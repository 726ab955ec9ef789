package tasks

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// The data are those that the figures in tests and reports were measured on.
func TestDigitsData(t *testing.T) {
	if got, want := fmt.Sprintf("%x", sha256.Sum256(digitsGz)), "46abec6b12486ad9e51943373abcf22bbea1b5a51a1619b361570d8893f1464a"; got != want {
		t.Errorf("SHA-256 of %s is %s, want %s", digitsFile, got, want)
	}
}

func digitsCSV(t testing.TB) []byte {
	z, err := gzip.NewReader(bytes.NewReader(digitsGz))
	if err != nil {
		t.Fatal(err)
	}
	csv, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return csv
}

func TestParseDigits(t *testing.T) {
	line := strings.Repeat("3,", 64) + "7\n"
	for _, c := range []struct{ name, csv, want string }{
		{"one line", line, ""},
		{"no last newline", line + line[:len(line)-1], ""},
		{"empty", "", "f.csv: line 1, column 1: expected 65 numbers, found an empty file"},
		{"blank line", line + "\n" + line, "f.csv: line 2, column 1: expected a pixel from 0 to 16, found nothing"},
		{"pixel too high", "0,17," + line, `f.csv: line 1, column 2: expected a pixel from 0 to 16, found "17"`},
		{"label too high", line + line[:128] + "10", `f.csv: line 2, column 65: expected a label from 0 to 9, found "10"`},
		{"negative", "-1," + line, `f.csv: line 1, column 1: expected a pixel from 0 to 16, found "-1"`},
		{"fraction", "1.5," + line, `f.csv: line 1, column 1: expected a pixel from 0 to 16, found "1.5"`},
		{"leading zero", "05," + line, `f.csv: line 1, column 1: expected a pixel from 0 to 16, found "05"`},
		{"space", "5, 5," + line, `f.csv: line 1, column 2: expected a pixel from 0 to 16, found " 5"`},
		{"Windows line", line[:len(line)-1] + "\r\n", `f.csv: line 1, column 65: expected a label from 0 to 9, found "7\r"`},
		{"missing number", line[2:], "f.csv: line 1, column 64: expected 65 numbers, found the end of the line after 64"},
		{"further number", line[:len(line)-1] + ",1\n", "f.csv: line 1, column 65: expected the end of the line after 65 numbers, found a comma"},
		{"truncated field", line[:len(line)-2], "f.csv: line 1, column 65: expected a label from 0 to 9, found nothing"},
		{"binary", "\x00\xff" + line, `f.csv: line 1, column 1: expected a pixel from 0 to 16, found "\x00\xff3"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseDigits("f.csv", []byte(c.csv))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *ParseError
			if !errors.As(err, &e) || err.Error() != "tasks: "+c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
}

// Any bytes give an error with a place, or samples which written out are those bytes.
func FuzzParseDigits(f *testing.F) {
	csv := digitsCSV(f)
	lines := bytes.SplitAfter(csv, []byte{'\n'})
	f.Add(bytes.Join(lines[:2], nil))
	f.Add(bytes.TrimSuffix(lines[0], []byte{'\n'}))
	f.Add(lines[0][3:])
	f.Add([]byte("16,0,,\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, csv []byte) {
		s, err := parseDigits("f.csv", csv)
		if err != nil {
			var e *ParseError
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Column > digitsPixels+1 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		var out []byte
		for i := range s.N {
			for _, x := range s.X[i*digitsPixels : (i+1)*digitsPixels] {
				out = fmt.Appendf(out, "%d,", int(x*digitsLevels))
			}
			out = fmt.Appendf(out, "%d\n", s.Labels[i])
		}
		if !bytes.Equal(bytes.TrimSuffix(out, []byte{'\n'}), bytes.TrimSuffix(csv, []byte{'\n'})) {
			t.Fatalf("%q reads as %q", csv, out)
		}
	})
}

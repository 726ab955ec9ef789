package tasks

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the data
	"fmt"
	"io"
	"math/rand/v2"

	"attractor/train/kit"
)

const digitsDoc = `handwritten digits of 8 × 8 pixels, 10 classes, in the program itself
1,797 samples, 1,437 to train on and 360 to test on. X is [n, 64] with the pixels (0 to
16) divided by 16, Labels is [n] from 0 to 9. The split is the same for every seed: each
class is shuffled by its own fixed stream and gives a fifth of its samples to the test
part, by largest remainders. Linear least squares reach an accuracy of 0.95.

Source: the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C.
Kaynak, 1998, UCI Machine Learning Repository, doi:10.24432/C50P49), unchanged but for
the compression, under the Creative Commons Attribution 4.0 licence (CC BY 4.0).`

const digitsRef = `@misc{alpaydin1998digits,
  author    = {Alpaydin, E. and Kaynak, C.},
  title     = {Optical Recognition of Handwritten Digits},
  year      = {1998},
  publisher = {UCI Machine Learning Repository},
  doi       = {10.24432/C50P49},
  note      = {CC BY 4.0}
}`

// digitsGz is the test part of E. Alpaydin and C. Kaynak (1998), "Optical Recognition of
// Handwritten Digits", UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0:
// a line per sample with 64 pixels from 0 to 16 and a label from 0 to 9.
//
//go:embed digits.csv.gz
var digitsGz []byte

const (
	digitsFile    = "digits.csv.gz"
	digitsSamples = 1797
	digitsTest    = 360 // a fifth, rounded up
	digitsPixels  = 64
	digitsLevels  = 16 // the highest value of a pixel
	digitsClasses = 10
)

// Digits is the task of telling handwritten digits of 8 × 8 pixels apart; see its entry
// in [Catalog] for source and licence.
type Digits struct{}

// Load returns the 1,437 + 360 samples. The seed changes nothing.
func (Digits) Load(uint64) (*Dataset, error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsGz))
	if err != nil {
		return nil, fmt.Errorf("tasks: %s: %w", digitsFile, err)
	}
	csv, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("tasks: %s: %w", digitsFile, err)
	}
	all, err := parseDigits(digitsFile, csv)
	if err != nil {
		return nil, err
	}
	if all.N != digitsSamples {
		return nil, fmt.Errorf("tasks: %s: expected %d samples, found %d", digitsFile, digitsSamples, all.N)
	}
	train, test := stratify(all.N, all.Labels, digitsClasses, digitsTest, func(class int) *rand.Rand {
		return kit.Stream(0, "digits/split", uint64(class))
	})
	return &Dataset{
		Name: "digits", Kind: Classification, Inputs: digitsPixels, Outputs: digitsClasses,
		Train: all.Select(train), Test: all.Select(test),
	}, nil
}

// parseDigits reads lines of 64 pixels and a label: whole numbers without sign, space
// or leading zero, separated by commas. The newline after the last line may be missing.
// Its errors are of type *ParseError.
func parseDigits(name string, csv []byte) (Split, error) {
	var s Split
	line := 0
	for len(csv) > 0 {
		line++
		row, rest, _ := bytes.Cut(csv, []byte{'\n'})
		csv = rest
		for column := 1; column <= digitsPixels+1; column++ {
			field, tail, comma := bytes.Cut(row, []byte{','})
			limit, what := digitsLevels, "a pixel"
			if column == digitsPixels+1 {
				limit, what = digitsClasses-1, "a label"
			}
			fail := func(expected, found string) (Split, error) {
				return Split{}, &ParseError{File: name, Line: line, Column: column, Expected: expected, Found: found}
			}
			v, ok := parseSmall(field, limit)
			switch last := column == digitsPixels+1; {
			case !ok && len(field) == 0:
				return fail(fmt.Sprintf("%s from 0 to %d", what, limit), "nothing")
			case !ok:
				return fail(fmt.Sprintf("%s from 0 to %d", what, limit), fmt.Sprintf("%.20q", field))
			case last && comma:
				return fail(fmt.Sprintf("the end of the line after %d numbers", digitsPixels+1), "a comma")
			case !last && !comma:
				return fail(fmt.Sprintf("%d numbers", digitsPixels+1), fmt.Sprintf("the end of the line after %d", column))
			case last:
				s.Labels = append(s.Labels, int32(v))
			default:
				s.X = append(s.X, float64(v)/digitsLevels)
			}
			row = tail
		}
		s.N++
	}
	if s.N == 0 {
		return Split{}, &ParseError{File: name, Line: 1, Column: 1, Expected: fmt.Sprintf("%d numbers", digitsPixels+1), Found: "an empty file"}
	}
	return s, nil
}

// parseSmall reads a number of one or two digits, in its only spelling.
func parseSmall(b []byte, limit int) (int, bool) {
	if len(b) == 0 || len(b) > 2 || len(b) == 2 && b[0] == '0' {
		return 0, false
	}
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + int(c-'0')
	}
	return v, v <= limit
}

// ParseError says where a file of numbers is not as it should be.
type ParseError struct {
	File            string
	Line, Column    int // counted from 1; a column is a field
	Expected, Found string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("tasks: %s: line %d, column %d: expected %s, found %s", e.File, e.Line, e.Column, e.Expected, e.Found)
}

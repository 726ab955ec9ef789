package cli

import (
	"os"

	"attractor/internal/options"
)

// spareInputs refuses to write over a file that is read, by whatever name: inputs may be of files that are not there.
func spareInputs(out string, inputs ...string) error {
	to, err := os.Stat(out)
	if err != nil {
		return nil // a new one
	}
	for _, in := range inputs {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, to) {
			return usagef("--out %s: it is the file that is read; choose another", out)
		}
	}
	return nil
}

// texts are the values of a part's options of texts, among which are the files that it reads.
func texts(part any) []string {
	var out []string
	for _, f := range options.Fields(part) {
		if f.Textual {
			out = append(out, f.Texts(part)...)
		}
	}
	return out
}

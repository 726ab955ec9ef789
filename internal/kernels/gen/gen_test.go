package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The committed files are what the generator writes.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is not current: run go generate in internal/kernels", name)
		}
	}
}

// AVX2 has 16 vector registers. The assembler takes those beyond without a word, as instructions of AVX-512, by
// which a processor that has none of them ends the process.
func TestAVX2HasSixteenRegisters(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	beyond := regexp.MustCompile(`\b[XY](1[6-9]|2\d|3[01])\b|\bZ\d+\b|\bK[0-7]\b`)
	functions := 0
	for name, text := range files {
		for _, f := range strings.Split(string(text), "TEXT ·")[1:] {
			function, _, _ := strings.Cut(f, "(")
			if strings.HasSuffix(name, ".s") && strings.HasSuffix(function, "AVX2") {
				functions++
				if r := beyond.FindString(f); r != "" {
					t.Errorf("%s: %s uses %s", name, function, r)
				}
			}
		}
	}
	if functions == 0 {
		t.Error("no function of AVX2 found")
	}
}

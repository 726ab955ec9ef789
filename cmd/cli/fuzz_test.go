package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/train/compare"
)

// Seeds that are read are written such that they are read again as the same.
func FuzzSeeds(f *testing.F) {
	for _, text := range []string{"1,2,3", "0", "18446744073709551615", "18446744073709551616", "-1", "1,,2", " 1 , 2\n", "1e3", "0x10", "01", "1..3", "", "+1", "1_0", "一"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var list, again []uint64
		if err := (&seeds{list: &list}).Set(text); err != nil {
			return
		}
		if len(list) == 0 {
			t.Fatalf("no seed in %q", text)
		}
		if err := (&seeds{list: &again}).Set((&seeds{list: &list}).String()); err != nil || !cmp.Equal(list, again) {
			t.Errorf("%q is %d and then %d, %v", text, list, again, err)
		}
	})
}

// Whatever a result or a trial holds, it is printed or refused.
func FuzzResults(f *testing.F) {
	whole, err := json.Marshal(compare.Result{Task: "digits", Seeds: []uint64{1}})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(whole), "null", "{}", `{"settings": [{}]}`, `{"settings": [{"rules": [{}, {"rule": "x", "seeds": [1]}]}]}`, `{"settings": [null], "seeds": [0]}`,
		`{"setting": "all-trained", "rule": "bptt", "seed": 1, "curve": [{}]}`, `{"seed": -1}`, `{"looks": [{"moment": -5}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r compare.Result
		if json.Unmarshal(text, &r) == nil {
			_ = (&program{stdout: io.Discard, stderr: io.Discard}).printComparison(&r, "runs/x")
			_ = compare.WriteReport(io.Discard, &r, nil)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "all-trained-bptt-s1.json"), text, 0o666); err != nil {
			t.Fatal(err)
		}
		_, _, _ = new(compareFlags).readTrials(dir)
	})
}

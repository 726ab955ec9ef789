package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attractor/internal/atomicfile"
	"attractor/internal/checkpoint"
	"attractor/internal/folder"
)

// beginning makes the files of a run up to step 0, as a kill leaves them before the checkpoint.
func beginning(t *testing.T, c Config[float32], files ...string) string {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "whole")
	run, err := CreateRun(whole, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	run.Close()
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text := []byte("half")
		if !strings.HasPrefix(name, ".") {
			text = read(t, filepath.Join(whole, name))
		}
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// TestKilledBeforeTheCheckpoint continues, or begins again, what a kill leaves after every
// file that is written before the first step, and within each of them.
func TestKilledBeforeTheCheckpoint(t *testing.T) {
	c := configured[float32](t, "train.epochs=1")
	want := whole(t, c)
	order := []string{ConfigFile, EnvironmentFile, MetricsFile, CheckpointFile}
	for n := range len(order) + 1 {
		for _, lock := range []bool{false, true} {
			for name, open := range map[string]func(string, Config[float32], Parts[float32]) (*Run[float32], error){"--out": CreateRun[float32], "--resume": OpenRun[float32]} {
				if n == 0 && name == "--resume" || n == len(order) && name == "--out" {
					continue // nothing is there that says what to train; there is a checkpoint that says more
				}
				files := order[:n:n]
				if lock {
					files = append(files, ".lock", ".checkpoint.safetensors.tmp-0123abcd")
				}
				dir := beginning(t, c, files...)
				run, err := open(dir, c, Ours[float32]())
				if err != nil {
					t.Errorf("%s with %q: %v", name, files, err)
					continue
				}
				res, err := run.Train(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				run.Close()
				same(t, want, kept(t, dir, res))
				if entries, _ := os.ReadDir(dir); len(entries) != 5 {
					t.Errorf("%s with %q leaves %v", name, files, entries)
				}
			}
		}
	}
}

// TestNoBeginning refuses a folder that holds anything but the beginning of this very run.
func TestNoBeginning(t *testing.T) {
	c := configured[float32](t, "train.epochs=1")
	for _, tt := range []struct {
		files []string
		spoil func(dir string)
		want  string
	}{
		{files: []string{ConfigFile, EnvironmentFile, MetricsFile, CheckpointFile}, want: "--resume"},
		{files: []string{EnvironmentFile}, want: "found 1 files in it: choose another"},
		{files: []string{ConfigFile}, spoil: func(dir string) { write(t, filepath.Join(dir, "mine"), nil) }, want: "found 2 files"},
		{files: []string{ConfigFile, MetricsFile}, spoil: func(dir string) { write(t, filepath.Join(dir, MetricsFile), []byte("{}\n")) }, want: "found 2 files"},
		{files: []string{ConfigFile}, spoil: func(dir string) { replace(t, filepath.Join(dir, ConfigFile), "epochs: 1", "epochs: 2") }, want: "train.epochs: 2 there, 1 here"},
	} {
		dir := beginning(t, c, tt.files...)
		if tt.spoil != nil {
			tt.spoil(dir)
		}
		before := snapshot(t, dir)
		if _, err := CreateRun(dir, c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v; want an error with %q", tt.files, err, tt.want)
		}
		if after := snapshot(t, dir); len(after) != len(before) {
			t.Errorf("%q: the folder was changed: %d files, were %d", tt.files, len(after), len(before))
		}
	}
}

// unfinished makes a run whose result is taken away, as if killed just before the end.
func unfinished(t *testing.T) (string, Config[float32]) {
	dir, c := ended(t)
	remove(ResultFile)(t, dir)
	return dir, c
}

// TestFlips changes bytes of the metrics and of the result, each of which is told by the file's name.
func TestFlips(t *testing.T) {
	for _, name := range []string{MetricsFile, ResultFile} {
		dir, c := ended(t)
		if name == MetricsFile {
			remove(ResultFile)(t, dir)
		}
		path := filepath.Join(dir, name)
		text := read(t, path)
		step := max(1, len(text)/50)
		for i := 0; i < len(text); i += step {
			damaged := bytes.Clone(text)
			damaged[i] ^= 1 << (i % 7)
			write(t, path, damaged)
			if run, err := OpenRun(dir, c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("byte %d of %s: %v", i, name, err)
				if run != nil {
					run.Close()
				}
			}
		}
	}
	dir, c := ended(t)
	path := filepath.Join(dir, MetricsFile)
	text := read(t, path)
	text[9] ^= 1
	write(t, path, text)
	if _, err := OpenRun(dir, c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), MetricsFile) {
		t.Errorf("metrics of a run that has ended: %v", err)
	}
}

// TestEndedIsVerified damages each file of a run that has ended: its name is told, as an error where the result rests on
// it, and else as a warning.
func TestEndedIsVerified(t *testing.T) {
	dir, c := ended(t)
	for _, tt := range []struct {
		file    string
		change  string
		damage  func(text []byte) []byte
		refused bool
	}{
		{CheckpointFile, "a bit", func(text []byte) []byte { text[len(text)-9] ^= 1; return text }, true},
		{CheckpointFile, "a bit of the header", func(text []byte) []byte { text[40] ^= 1; return text }, true},
		{CheckpointFile, "cut", func(text []byte) []byte { return text[:len(text)/2] }, true},
		{CheckpointFile, "gone", nil, false},
		{ConfigFile, "cut to what is a configuration, too", func(text []byte) []byte { return text[:bytes.LastIndex(text, []byte("\nregularizer:"))+1] }, true},
		{ConfigFile, "a comment", func(text []byte) []byte { return append(text, "# mine\n"...) }, true},
		{EnvironmentFile, "a bit", func(text []byte) []byte { text[len(text)/2] ^= 1; return text }, false},
		{EnvironmentFile, "cut", func(text []byte) []byte { return text[:len(text)/2] }, false},
		{EnvironmentFile, "gone", nil, false},
	} {
		t.Run(tt.file+"/"+tt.change, func(t *testing.T) {
			path := filepath.Join(dir, tt.file)
			text := read(t, path)
			defer func() { write(t, path, text) }()
			if tt.damage == nil {
				remove(tt.file)(t, dir)
			} else {
				write(t, path, tt.damage(bytes.Clone(text)))
			}
			run, err := OpenRun(dir, c, Ours[float32]())
			switch {
			case tt.refused && (err == nil || !strings.Contains(err.Error(), tt.file)):
				t.Errorf("not refused by name: %v", err)
			case !tt.refused && (err != nil || len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], tt.file)):
				t.Errorf("not one warning with the name: %v", err)
			}
		})
	}
	if run, err := OpenRun(dir, c, Ours[float32]()); err != nil || len(run.Warnings) > 0 {
		t.Errorf("whole again: %v", err)
	}
}

// TestResultValues refuses values that no result can have, in a file of today and in one
// without a checksum.
func TestResultValues(t *testing.T) {
	dir, c := ended(t)
	path := filepath.Join(dir, ResultFile)
	var plain map[string]any
	if err := json.Unmarshal(read(t, path), &plain); err != nil {
		t.Fatal(err)
	}
	delete(plain, "sha256")
	delete(plain, "metrics_sha256")
	for _, tt := range []struct {
		want   string
		change func(test map[string]any)
	}{
		{"", func(map[string]any) {}},
		{"test.accuracy: expected a number from 0 to 1, found 7.5", func(test map[string]any) { test["accuracy"] = 7.5 }},
		{"test.accuracy", func(test map[string]any) { test["accuracy"] = -0.5 }},
		{"status", func(map[string]any) { plain["status"] = "dune" }},
		{"jfb", func(map[string]any) { plain["status"], plain["rule"] = Done, "jfb" }},
	} {
		test := plain["test"].(map[string]any)
		accuracy := test["accuracy"]
		tt.change(test)
		text, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		test["accuracy"] = accuracy
		write(t, path, text)
		run, err := OpenRun(dir, c, Ours[float32]())
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), ResultFile) {
				t.Errorf("%v; want an error with %q", err, tt.want)
			}
			continue
		}
		if err != nil || len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], "no checksum") {
			t.Errorf("without a checksum: %v", err)
		}
	}
}

// TestRunsWithoutChecksums continues a run that an earlier version has begun, and says so.
func TestRunsWithoutChecksums(t *testing.T) {
	dir, c := unfinished(t)
	path := filepath.Join(dir, CheckpointFile)
	f, err := checkpoint.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	delete(f.Meta, metricsSum)
	if err := checkpoint.Save(path, *f); err != nil {
		t.Fatal(err)
	}
	remove(EnvironmentFile)(t, dir)
	run, err := OpenRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	said := strings.Join(run.Warnings, "\n")
	if len(run.Warnings) != 2 || !strings.Contains(said, "no checksum") || !strings.Contains(said, EnvironmentFile+" is missing") {
		t.Errorf("warnings %q", run.Warnings)
	}
	if res, err := run.Train(t.Context(), nil); err != nil || res.Status != Done {
		t.Errorf("trained %+v, %v", res, err)
	}
}

// TestLinksInTheFolder refuses links in place of every file of a run, and leaves what they point to.
func TestLinksInTheFolder(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, name := range []string{ConfigFile, EnvironmentFile, MetricsFile, CheckpointFile, ".lock", "dangling"} {
		dir, c := unfinished(t)
		path := filepath.Join(dir, name)
		var text []byte
		if name != "dangling" && name != ".lock" {
			text = read(t, path)
			write(t, elsewhere, text)
			remove(name)(t, dir)
		}
		if err := os.Symlink(elsewhere, path); err != nil {
			t.Skip(err)
		}
		if _, err := OpenRun(dir, c, Ours[float32]()); !errors.As(err, new(*atomicfile.LinkError)) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if text != nil && !bytes.Equal(text, read(t, elsewhere)) {
			t.Errorf("%s was written through", name)
		}
		os.Remove(elsewhere)
	}
	dir, c := unfinished(t)
	if err := os.Link(filepath.Join(dir, MetricsFile), elsewhere); err != nil {
		t.Skip(err)
	}
	if _, err := OpenRun(dir, c, Ours[float32]()); !errors.As(err, new(*atomicfile.LinkError)) {
		t.Errorf("metrics with a second name: %v", err)
	}
}

// TestLostInTraining takes a run's folder or files away while it trains.
func TestLostInTraining(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"metrics removed": func(dir string) error { return os.Remove(filepath.Join(dir, MetricsFile)) },
		"metrics replaced": func(dir string) error {
			return os.Rename(filepath.Join(dir, ConfigFile), filepath.Join(dir, MetricsFile))
		},
		"metrics cut":    func(dir string) error { return os.Truncate(filepath.Join(dir, MetricsFile), 5) },
		"config removed": func(dir string) error { return os.Remove(filepath.Join(dir, ConfigFile)) },
		"folder renamed": func(dir string) error { return os.Rename(dir, dir+"-away") },
		"folder removed": os.RemoveAll,
		"folder replaced": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"-away"), os.CopyFS(dir, os.DirFS(dir+"-away")))
		},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		run, err := CreateRun(dir, configured[float32](t), Ours[float32]())
		if err != nil {
			t.Fatal(err)
		}
		_, err = run.Train(t.Context(), func(s StepRecord, e *EpochRecord) {
			if s.Step == 12 && e == nil { // of 12
				if err := lose(dir); err != nil {
					t.Fatal(err)
				}
			}
		})
		if !errors.As(err, new(*folder.LostError)) {
			t.Errorf("%s: %v", name, err)
		}
		run.Close()
	}
}

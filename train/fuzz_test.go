package train

import (
	"bytes"
	"path/filepath"
	"testing"

	"attractor/deq"
	"attractor/internal/checkpoint"
)

// runFolder is the folder of a small run that has ended.
func runFolder(t testing.TB) (dir string, c Config[float32]) {
	t.Helper()
	dir, c = filepath.Join(t.TempDir(), "run"), configured[float32](t, "train.epochs=1")
	r, err := CreateRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Train(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

// Whatever one of the files of a run holds, the run is opened or refused, and never a panic.
func FuzzOpenRun(f *testing.F) {
	dir, c := runFolder(f)
	files := []string{ConfigFile, EnvironmentFile, MetricsFile, ResultFile, CheckpointFile}
	whole := map[string][]byte{}
	for i, name := range files {
		whole[name] = read(f, filepath.Join(dir, name))
		f.Add(uint8(i), whole[name])
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte("null"))
		f.Add(uint8(i), []byte(`{"train": [], "test": {"loss": "x"}, "status": 7}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		dir, changed := t.TempDir(), files[int(which)%len(files)]
		for _, name := range files {
			text := whole[name]
			switch {
			case name == changed:
				text = data
			case name == ResultFile: // or nothing else would be looked at
				continue
			}
			write(t, filepath.Join(dir, name), text)
		}
		r, err := OpenRun(dir, c, Ours[float32]())
		if err == nil {
			r.Close()
		}
	})
}

// Whatever a checkpoint says of its model, with a checksum that is right, the network is made or refused.
func FuzzReadNetwork(f *testing.F) {
	dir, _ := runFolder(f)
	good, err := checkpoint.Load(filepath.Join(dir, CheckpointFile))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"params/W", "params/U", "params/b", "params/Wo", "optim/m/W"} {
		f.Add("config/model.units", "6", name, uint8(6), uint8(6))
		f.Add("config/model.units", "9223372036854775807", name, uint8(1), uint8(36))
		f.Add("config/model", "gru", name, uint8(0), uint8(6))
	}
	f.Fuzz(func(t *testing.T, key, value, name string, rows, columns uint8) {
		file := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}, Meta: map[string]string{key: value}}
		for k, v := range good.Meta {
			if k != key && k != "attractor.sha256" {
				file.Meta[k] = v
			}
		}
		for k, v := range good.Tensors {
			file.Tensors[k] = v
		}
		file.Tensors[name] = checkpoint.Of(make([]float32, int(rows)*int(columns)), int(rows), int(columns))
		path := filepath.Join(t.TempDir(), CheckpointFile)
		if err := checkpoint.Save(path, file); err != nil {
			return // no such file can be
		}
		l, _, err := ReadNetwork(path, Ours[float64](), deq.Config{Batch: 1})
		if err == nil && l.Units < 1 {
			t.Errorf("%d units", l.Units)
		}
	})
}

// What is read of a configuration is written such that it is read again as the same.
func FuzzConfiguration(f *testing.F) {
	dir, _ := runFolder(f)
	f.Add(read(f, filepath.Join(dir, ConfigFile)), "train.epochs=2")
	for _, set := range []string{"model=gru", "rule=rtrl", "optimizer.betas=1", "train.seed=18446744073709551615", "task.file=a # b", "model.units=1e9", "train.clip=.inf", "solver={name: anderson, window: 3}"} {
		f.Add([]byte("task: {name: blobs, train: 8}\n"), set)
		f.Add([]byte(set), "model.units=3")
	}
	f.Fuzz(func(t *testing.T, file []byte, set string) {
		parts := Ours[float32]()
		c, err := Read(parts, "run.yaml", file, []string{set})
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := c.Write(&text, parts); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Read(parts, "again.yaml", text.Bytes(), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text.Bytes())
		}
		if d := differences(c.identity(), again.identity()); len(d) > 0 {
			t.Errorf("%v", d)
		}
	})
}

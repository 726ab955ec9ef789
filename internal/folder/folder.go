// Package folder keeps what a command writes in a folder that is its own.
//
// A folder is claimed before anything is written to it: by a lock on a file in it, which the
// system gives free when the process ends, however it ends. What a claim has made it can take
// away again, and nothing else. Nothing is written through a link.
package folder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"attractor/internal/atomicfile"
)

// lockName is the file that is locked. It is removed when the folder is given free, and stays
// when the process is killed.
const lockName = ".lock"

// InUseError says that another process has claimed a folder.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by another process: wait for it to end, or choose another folder", e.Dir)
}

// LostError says that a claimed folder, or a file in it, is no longer what it was.
type LostError struct{ Path, What string }

func (e *LostError) Error() string {
	return fmt.Sprintf("%s was %s while it was in use: what was to be kept there is not, or not all of it", e.Path, e.What)
}

// Folder is a claimed folder. Its methods may be called from several goroutines.
type Folder struct {
	Dir string

	lock *os.File
	mu   sync.Mutex
	made []string // by this claim
	kept bool     // when the folder is given free
}

// Claim claims a folder, which it makes if it is not there. suits is given the names of the
// files in it, but for hidden ones, and refuses a folder by an error; it may be asked more
// than once. Symbolic links among the files are refused, and temporary files that a killed
// process has left are removed.
func Claim(dir string, suits func(files []string) error) (*Folder, error) {
	if _, err := os.Lstat(filepath.Join(dir, lockName)); err != nil { // else another one may be at work
		switch files, err := Files(dir); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			if err := suits(files); err != nil {
				return nil, err
			}
		}
	}
	f, err := take(dir, true)
	if err != nil {
		return nil, err
	}
	return f.accept(suits)
}

// Fresh claims a folder that it makes: dir, or where that is there dir-2, dir-3 and so on.
func Fresh(dir string) (*Folder, error) {
	name := dir
	for i := 2; ; i++ {
		made, err := mkdir(name)
		if err == nil {
			f, err := take(name, true)
			var used *InUseError
			if err == nil {
				f.made = append(made, f.made...)
				return f.accept(func(files []string) error {
					if len(files) > 0 {
						return fmt.Errorf("%s: expected the new folder to be empty, found %d files", f.Dir, len(files))
					}
					return nil
				})
			}
			if !errors.As(err, &used) { // or else someone was asked for this very name
				return nil, err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		name = fmt.Sprintf("%s-%d", dir, i)
	}
}

// Open claims a folder that must be there, as Claim does.
func Open(dir string) (*Folder, error) {
	if _, err := Files(dir); err != nil {
		return nil, err
	}
	f, err := take(dir, false)
	if err != nil {
		return nil, err
	}
	return f.accept(func([]string) error { return nil })
}

// Use claims a folder for files beside those that are there, whatever they are. It makes the
// folder if need be.
func Use(dir string) (*Folder, error) { return take(dir, true) }

// Wait is Use that waits for another process to give the folder free, or for ctx, and removes
// temporary files that a killed process has left. told, which may be nil, is called when it
// has to wait.
func Wait(ctx context.Context, dir string, told func()) (*Folder, error) {
	for {
		f, err := Use(dir)
		var used *InUseError
		if err == nil {
			f.clean()
			return f, nil
		}
		if !errors.As(err, &used) {
			return nil, err
		}
		if told != nil {
			told()
			told = nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Files lists the files in a folder, but for hidden ones. A symbolic link is an error.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if err := atomicfile.NoLink(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// take makes a folder, if it may, and locks it.
func take(dir string, make bool) (*Folder, error) {
	f := &Folder{Dir: dir}
	var err error
	for range 100 { // others may make and remove the folder and the lock meanwhile
		if make {
			var made []string
			if made, err = mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
				f.Close()
				return nil, err
			}
			f.made = append(f.made, made...)
		}
		var info fs.FileInfo
		if info, err = os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			if link := atomicfile.NoLink(dir); link != nil { // that leads nowhere
				err = link
				break
			}
		}
		if err == nil && !info.IsDir() {
			err = &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a folder")}
			break
		}
		if f.lock, err = atomicfile.Open(f.Path(lockName), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
			if errors.Is(err, atomicfile.ErrReplaced) || make && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			break
		}
		if atomicfile.Lock(f.lock) != nil {
			err = &InUseError{Dir: dir}
			f.lock.Close()
			f.lock = nil
			break
		}
		if f.Check() == nil {
			return f, nil
		}
		err = &InUseError{Dir: dir}
		f.lock.Close()
		f.lock = nil
	}
	f.Close()
	return nil, err
}

// mkdir makes a folder and those above it, and returns those that it has made. A folder that
// is there is an error that is fs.ErrExist.
func mkdir(dir string) (made []string, err error) {
	for range 100 {
		if err = os.Mkdir(dir, 0o777); err == nil {
			return append(made, dir), nil
		}
		above := filepath.Dir(filepath.Clean(dir))
		if !errors.Is(err, fs.ErrNotExist) || above == dir {
			break
		}
		higher, err := mkdir(above)
		made = append(made, higher...)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
	}
	return made, err
}

// accept asks suits about a folder that is locked, and cleans it.
func (f *Folder) accept(suits func(files []string) error) (*Folder, error) {
	files, err := Files(f.Dir)
	if err == nil {
		err = suits(files)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	f.clean()
	return f, nil
}

// clean removes temporary files of processes that were killed, in the folder and those in it.
func (f *Folder) clean() {
	entries, _ := os.ReadDir(f.Dir)
	for _, e := range entries {
		below := []fs.DirEntry{e}
		dir := f.Dir
		if e.IsDir() {
			dir = f.Path(e.Name())
			below, _ = os.ReadDir(dir)
		}
		for _, e := range below {
			if e.Type().IsRegular() && atomicfile.IsTemporary(e.Name()) {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// Path is that of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.Dir, name) }

// Check returns a *LostError if the folder is no longer the one that was claimed.
func (f *Folder) Check() error {
	own, err := f.lock.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(f.Path(lockName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &LostError{f.Dir, "moved, emptied or removed"}
	case err != nil:
		return err
	case !os.SameFile(own, now):
		return &LostError{f.Dir, "replaced by another"}
	}
	return nil
}

// Demand returns a *LostError for the first of these files that is not there.
func (f *Folder) Demand(names ...string) error {
	for _, name := range names {
		if info, err := os.Lstat(f.Path(name)); err != nil || !info.Mode().IsRegular() {
			return &LostError{f.Path(name), "removed or replaced"}
		}
	}
	return f.Check()
}

// within demands that the folder is the claimed one and that no folder between it and the
// file is a link.
func (f *Folder) within(name string) error {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if err := atomicfile.NoLink(f.Path(dir)); err != nil {
			return err
		}
	}
	return f.Check()
}

// Make calls do, which makes or changes these files in the folder, and notes which of them
// were not there.
func (f *Folder) Make(do func() error, names ...string) error {
	for _, name := range names {
		if err := f.within(name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var missing []string
	for _, name := range names {
		if _, err := os.Lstat(f.Path(name)); err != nil {
			missing = append(missing, f.Path(name))
		}
	}
	err := do()
	for _, path := range missing {
		if _, none := os.Lstat(path); none == nil {
			f.made = append(f.made, path)
		}
	}
	return err
}

// Write makes a file in the folder by [atomicfile.Write].
func (f *Folder) Write(name string, write func(io.Writer) error) error {
	return f.Make(func() error { return atomicfile.Write(f.Path(name), write) }, name)
}

// WriteJSON makes a file of v with its checksum; see ReadJSON.
func (f *Folder) WriteJSON(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path(name), err)
	}
	return f.Write(name, func(w io.Writer) error {
		_, err := w.Write(seal(text))
		return err
	})
}

// Mkdir makes a folder in the folder, if it is not there.
func (f *Folder) Mkdir(name string) error {
	return f.Make(func() error {
		if err := os.Mkdir(f.Path(name), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return atomicfile.NoLink(f.Path(name))
	}, name)
}

// OpenFile opens a file in the folder to be changed in place, by [atomicfile.Open].
func (f *Folder) OpenFile(name string, flag int) (file *os.File, err error) {
	err = f.Make(func() error {
		file, err = atomicfile.Open(f.Path(name), flag, 0o666)
		return err
	}, name)
	return file, err
}

// Keep has all that is made stay when the folder is given free.
func (f *Folder) Keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = true
}

// Close gives the folder free. Unless Keep was called it removes what this claim has made.
func (f *Folder) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept {
		f.made = nil
	}
	ours := f.lock != nil && f.Check() == nil
	dirs := map[string]bool{}
	for _, path := range f.made {
		info, err := os.Lstat(path)
		dirs[path] = err == nil && info.IsDir()
	}
	for _, path := range slices.Backward(f.made) {
		if ours && !dirs[path] {
			os.Remove(path)
		}
	}
	if ours {
		os.Remove(f.Path(lockName))
	}
	for _, path := range slices.Backward(f.made) {
		if dirs[path] { // a folder with anything in it stays
			os.Remove(path)
		}
	}
	if f.lock != nil {
		f.lock.Close()
	}
	f.made, f.lock = nil, nil
}

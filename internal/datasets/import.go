package datasets

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"attractor/internal/regular"
)

// Import finds the files of the set in what the user has and copies them to dir: files,
// folders with everything below them, and .zip, .tar and .tar.gz archives (such as an npm
// package). A file is recognised by its contents, plain or compressed by gzip, whatever its
// name. When some are still missing at the end the error is an *[IncompleteError]; the ones
// that were found are kept, and so is what was there before.
func (s Set) Import(ctx context.Context, dir string, paths []string, progress Progress) ([]Status, error) {
	list, want, err := s.missing(ctx, dir)
	if err != nil {
		return nil, err
	}
	im := &importer{ctx: ctx, dir: dir, want: want, list: list, progress: progress}
	for _, p := range paths {
		if err := im.path(p); err != nil {
			return im.list, err
		}
	}
	if len(im.want) > 0 {
		e := &IncompleteError{Set: s.Name, Close: im.close}
		for _, f := range im.want {
			e.Missing = append(e.Missing, f.Name)
		}
		return im.list, e
	}
	return im.list, nil
}

type importer struct {
	ctx      context.Context
	dir      string
	want     []File
	list     []Status
	close    []error
	progress Progress
}

// path imports from a file or a folder that the user has named.
func (im *importer) path(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return im.file(root, info)
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case im.ctx.Err() != nil:
			return im.ctx.Err()
		case err != nil && p == root:
			return err
		case err != nil: // a folder that cannot be read
			im.close = append(im.close, err)
			return nil
		case d.IsDir():
			return nil
		case len(im.want) == 0:
			return fs.SkipAll
		}
		info, err := os.Stat(p) // of what a link points to
		if err != nil || !info.Mode().IsRegular() || !im.likely(p, info.Size()) {
			return nil
		}
		return im.file(p, info)
	})
}

// likely reports whether a file in a folder is worth opening.
func (im *importer) likely(p string, size int64) bool {
	switch strings.ToLower(filepath.Ext(p)) {
	case ".gz", ".tgz", ".tar", ".zip":
		return true
	}
	return im.named(p) >= 0 || slices.ContainsFunc(im.want, func(f File) bool { return f.Size == size })
}

// named is the file that is wanted under that name, or -1.
func (im *importer) named(p string) int {
	base := strings.TrimSuffix(path.Base(filepath.ToSlash(p)), ".gz")
	return slices.IndexFunc(im.want, func(f File) bool { return f.Name == base })
}

// file imports from a file: one that is wanted, or an archive. Its error ends the import.
func (im *importer) file(p string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: expected a file or a folder, found a special file", p)
	}
	f, err := regular.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	if z, err := zip.NewReader(f, info.Size()); err == nil {
		return im.zip(p, z)
	}
	return im.stream(p, f, info.Size(), true)
}

// zip imports from the members of an archive.
func (im *importer) zip(p string, z *zip.Reader) error {
	for _, m := range z.File {
		if m.FileInfo().IsDir() || !im.likely(m.Name, int64(m.UncompressedSize64)) {
			continue
		}
		r, err := m.Open()
		if err != nil {
			im.damaged(p+": "+m.Name, err)
			continue
		}
		err = im.stream(p+": "+m.Name, r, int64(m.UncompressedSize64), false)
		r.Close()
		if err != nil || len(im.want) == 0 {
			return err
		}
	}
	return nil
}

// stream imports from a file of that size: one that is wanted, also compressed, or an archive
// by tar where that may be.
func (im *importer) stream(name string, r io.Reader, size int64, archive bool) error {
	b, gz, err := unpacked(&reader{ctx: im.ctx, r: r})
	if err != nil {
		im.damaged(name, err)
		return im.ctx.Err()
	}
	if gz {
		size = -1
	}
	if archive && isTar(b) {
		return im.tar(name, tar.NewReader(b))
	}
	return im.leaf(name, b, size)
}

// isTar reports whether the mark of a tar archive is where it should be.
func isTar(b *bufio.Reader) bool {
	const mark = "ustar"
	head, err := b.Peek(257 + len(mark))
	return err == nil && string(head[257:]) == mark
}

func (im *importer) tar(p string, t *tar.Reader) error {
	for len(im.want) > 0 {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			im.close = append(im.close, fmt.Errorf("%s: a damaged archive: %w", p, err))
			return im.ctx.Err()
		}
		if h.Typeflag == tar.TypeReg && im.likely(h.Name, h.Size) {
			if err := im.stream(p+": "+h.Name, t, h.Size, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// damaged notes a file that cannot be read, if it looks like one that is wanted.
func (im *importer) damaged(name string, err error) {
	if i := im.named(name); i >= 0 {
		im.close = append(im.close, &ContentError{Path: name, File: im.want[i].Name, Expected: "the contents", Found: "a damaged file", Err: err})
	}
}

// leaf takes a file if its contents are wanted. The size is -1 where it is not known.
func (im *importer) leaf(name string, r io.Reader, size int64) error {
	largest := int64(0)
	for _, f := range im.want {
		largest = max(largest, f.Size)
	}
	tell := func(n int64) { im.progress.tell(path.Base(filepath.ToSlash(name)), n, max(size, 0)) }
	data, err := io.ReadAll(io.LimitReader(&reader{ctx: im.ctx, r: r, tell: tell}, largest+1))
	if err != nil {
		im.damaged(name, err)
		return im.ctx.Err()
	}
	sum := sha256.Sum256(data)
	like := im.named(name)
	for i, f := range im.want {
		if f.compare(name, int64(len(data)), sum[:]) != nil {
			if like < 0 && f.Size == int64(len(data)) {
				like = i
			}
			continue
		}
		if err := f.keep(im.dir, data); err != nil {
			return err
		}
		got(im.list, im.dir, f, Imported)
		im.want = slices.Delete(im.want, i, i+1)
		return nil
	}
	if like >= 0 {
		im.close = append(im.close, im.want[like].compare(name, int64(len(data)), sum[:]))
	}
	return nil
}

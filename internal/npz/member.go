package npz

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"attractor/internal/quote"
)

// lastRead is a reader that knows where it was read last.
type lastRead struct {
	io.ReaderAt
	at int64
}

func (r *lastRead) ReadAt(p []byte, at int64) (int, error) {
	r.at = at
	return r.ReaderAt.ReadAt(p, at)
}

// The version of the zip format that is known, as to Python's zipfile, and marks of members that are not read.
const (
	newestZip       = 63
	encrypted       = 1 << 0
	patched         = 1 << 5
	strongEncrypted = 1 << 6
	inUTF8          = 1 << 11
)

// checkVersion refuses a member of an archive that only newer programs know to read.
func checkVersion(m *zip.File) error {
	// Its high byte is 0 by APPNOTE.TXT, 4.4.3; zipfile takes both for the number.
	if v := m.ReaderVersion; v > newestZip {
		return fmt.Errorf("expected a member of version %d.%d of zip at most, found %d.%d", newestZip/10, newestZip%10, v/10, v%10)
	}
	return nil
}

// checkMember refuses what Python's zipfile does: members that are encrypted or patched, and one whose own header has
// another name than the directory, of which one is damaged. An archive in which they differ holds
// different arrays to different readers.
func (f *File) checkMember(m *zip.File) error {
	switch {
	case m.Flags&(encrypted|strongEncrypted) != 0:
		return errors.New("expected a member that is not encrypted")
	case m.Flags&patched != 0:
		return errors.New("expected a member that is whole, found one of patched data")
	}
	if _, err := m.DataOffset(); err != nil {
		return err
	}
	const fixed, flags, length = 30, 6, 26 // bytes of a header before the name, and where its flags and the length of the name are
	head := make([]byte, fixed+len(m.Name))
	if _, err := f.reader.ReadAt(head, f.reader.at); err != nil {
		return fmt.Errorf("read the header of a member: %w", err)
	}
	name := head[fixed:]
	n := int(binary.LittleEndian.Uint16(head[length:]))
	ascii := true
	for _, c := range name {
		ascii = ascii && c < 0x80
	}
	utf8 := binary.LittleEndian.Uint16(head[flags:]) & inUTF8
	if n != len(m.Name) || string(name) != m.Name || !ascii && utf8 != m.Flags&inUTF8 {
		return fmt.Errorf("expected the name of the directory in the member's own header, found %s", quote.Name(string(name[:min(n, len(name))])))
	}
	return nil
}

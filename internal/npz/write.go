package npz

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Named is an array to be written. Its rows lie one after the other.
type Named struct {
	Name  string
	Shape []int // no dimensions for a single number
	Data  any   // []float64, []float32, []int64, []int32 or []uint8
}

// Write writes an archive that numpy.load and [Open] read, as numpy.savez does: the same arrays give the same bytes.
func Write(w io.Writer, arrays ...Named) error {
	z := zip.NewWriter(w)
	for _, a := range arrays {
		member, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
		if err == nil {
			err = a.write(member)
		}
		if err != nil {
			return fmt.Errorf("npz: write array %q: %w", a.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("npz: write: %w", err)
	}
	return nil
}

// write writes the array in version 1.0 of numpy's format.
func (a Named) write(w io.Writer) error {
	descr, n := "", 0
	switch d := a.Data.(type) {
	case []float64:
		descr, n = "<f8", len(d)
	case []float32:
		descr, n = "<f4", len(d)
	case []int64:
		descr, n = "<i8", len(d)
	case []int32:
		descr, n = "<i4", len(d)
	case []uint8:
		descr, n = "|u1", len(d)
	default:
		return fmt.Errorf("expected numbers, found %T", a.Data)
	}
	if want := (Header{Shape: a.Shape}).Len(); n != want {
		return fmt.Errorf("expected %d numbers of the shape %v, found %d", want, a.Shape, n)
	}
	var shape strings.Builder
	for _, d := range a.Shape {
		shape.WriteString(strconv.Itoa(d) + ",") // numpy takes a comma at the end
	}
	const magic = "\x93NUMPY\x01\x00"
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape.String())
	pad := 63 - (len(magic)+2+len(header))%64 // the data begin at a multiple of 64
	b := bufio.NewWriter(w)
	b.WriteString(magic)
	binary.Write(b, binary.LittleEndian, uint16(len(header)+pad+1))
	b.WriteString(header + strings.Repeat(" ", pad) + "\n")
	if err := binary.Write(b, binary.LittleEndian, a.Data); err != nil {
		return err
	}
	return b.Flush()
}

package folder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"attractor/internal/atomicfile"
)

// ErrDamaged says that a file is not what was written.
var ErrDamaged = errors.New("the file is not as it was written: its checksum is another")

// A file of JSON ends with its checksum: a last member "sha256" of the object, the SHA-256
// of the file without that member.
const sumKey = "sha256"

func sealOf(text []byte) []byte {
	return fmt.Appendf(nil, ",\n  %q: \"%x\"\n}\n", sumKey, sha256.Sum256(text))
}

// seal adds the checksum to an object, as json.MarshalIndent writes it.
func seal(text []byte) []byte {
	body, is := bytes.CutSuffix(text, []byte("\n}"))
	if !is { // nothing to be sealed, such as {}
		return append(text, '\n')
	}
	return append(bytes.Clone(body), sealOf(text)...)
}

// ReadJSON reads a file that WriteJSON has made. sealed is false for one that has no checksum,
// as those of earlier versions; a checksum that is wrong is an error that is ErrDamaged. A
// symbolic link is refused. What is wrong with the contents does not name the file.
func ReadJSON(path string, v any) (sealed bool, err error) {
	text, err := atomicfile.Read(path)
	if err != nil {
		return false, err
	}
	if sealed, err = unseal(text); err != nil {
		return false, err
	}
	return sealed, json.Unmarshal(text, v)
}

// unseal verifies the checksum of a file, if it has one.
func unseal(text []byte) (sealed bool, err error) {
	n := len(sealOf(nil))
	if len(text) > n {
		body := append(bytes.Clone(text[:len(text)-n]), "\n}"...)
		if bytes.Equal(text[len(text)-n:], sealOf(body)) {
			return true, nil
		}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return false, err
	}
	for key, value := range members { // one that was a checksum before something was changed
		var s string
		if key == sumKey || json.Unmarshal(value, &s) == nil && isSum(s) {
			return false, ErrDamaged
		}
	}
	return false, nil
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

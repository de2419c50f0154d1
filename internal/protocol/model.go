package protocol

import (
	"crypto/sha256"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/group"
)

// ModelID identifies a committed model: SHA-256 over version, the family's digest and the row commitments.
func ModelID(f *circuit.Family, points []group.Affine) [32]byte {
	h := sha256.New()
	digest := f.Digest()
	h.Write([]byte(Version + " model"))
	h.Write(digest[:])
	for i := range points {
		h.Write(group.Encode(nil, &points[i]))
	}
	return [32]byte(h.Sum(nil))
}

// Package constants reads and writes the file with the constant tensors of a generated circuit (rotary angles, masks). The file is
// embedded in generated code, which holds its SHA-256; the shapes stand in the code.
//
// Format, all integers little-endian: the 8 bytes "zkconst1"; uint32 number of tensors; per tensor uint32 number of cells, one byte w
// (1, 2, 4 or 8, the least width that holds all cells), then the cells as signed integers of w bytes. Nothing follows.
package constants

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/format/ints"
)

const magic = "zkconst1"

// errFile is the error for every malformed file.
var errFile = errors.New("constants: malformed file")

// Encode writes tensors, given by their cells.
func Encode(tensors [][]int64) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(tensors)))
	for _, t := range tensors {
		w := ints.Width(t)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, byte(w))
		for _, v := range t {
			for i := range w {
				b = append(b, byte(v>>(8*i)))
			}
		}
	}
	return b
}

// Sum is the digest of a file that Decode expects.
func Sum(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// Decode returns the cells of every tensor of a file with the given digest. It refuses any other file.
func Decode(file []byte, sum string) ([][]int64, error) {
	if Sum(file) != sum {
		return nil, errors.New("constants: the file is not the one that was generated with this code")
	}
	if len(file) < len(magic)+4 || string(file[:len(magic)]) != magic {
		return nil, errFile
	}
	n := binary.LittleEndian.Uint32(file[len(magic):])
	rest := file[len(magic)+4:]
	var out [][]int64
	for range n {
		cells, next, err := tensor(rest)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, cells), next
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last tensor", errFile, len(rest))
	}
	return out, nil
}

// tensor reads one tensor and returns what follows it. The size is checked against the file before anything is allocated.
func tensor(b []byte) (cells []int64, rest []byte, err error) {
	if len(b) < 5 {
		return nil, nil, errFile
	}
	count, w := binary.LittleEndian.Uint32(b), int(b[4])
	if w != 1 && w != 2 && w != 4 && w != 8 {
		return nil, nil, fmt.Errorf("%w: cells of %d bytes", errFile, w)
	}
	b = b[5:]
	if uint64(count) > uint64(len(b)/w) {
		return nil, nil, fmt.Errorf("%w: %d cells in %d bytes", errFile, count, len(b))
	}
	n := int(count)
	cells = make([]int64, n)
	for i := range cells {
		cells[i] = signed(b[i*w:(i+1)*w], w)
	}
	if ints.Width(cells) != w {
		return nil, nil, fmt.Errorf("%w: cells wider than needed", errFile)
	}
	return cells, b[n*w:], nil
}

func signed(b []byte, w int) int64 {
	var u uint64
	for i, x := range b {
		u |= uint64(x) << (8 * i)
	}
	shift := 64 - 8*w
	return int64(u<<shift) >> shift
}

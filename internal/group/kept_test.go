package group

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// forget makes this process derive the generators of a tag again.
func forget(tag string) {
	memo.Lock()
	defer memo.Unlock()
	delete(memo.byTag, tag)
}

// keptWith returns the generators of a tag that a file of a new folder has, and that file.
func keptWith(t testing.TB, tag string, n int) (points []Affine, file string) {
	t.Cleanup(func() { KeepIn("") })
	folder := filepath.Join(t.TempDir(), "new", "folder")
	KeepIn(folder)
	forget(tag)
	return slices.Clone(Generators(tag, 0, n)), filepath.Join(folder, keptName(tag))
}

func restored(tag string, n int) (d derived, end int) {
	d = derived{make([]Affine, n), make([]uint8, n)}
	return d, restore(tag, d, 0)
}

// What is kept is what was derived, as many as there are, and grows with what is asked for.
func TestKept(t *testing.T) {
	const tag, n = "kept/test", 2*keepMany + 10
	want, file := keptWith(t, tag, n)
	if d, end := restored(tag, n+5); end != n || !slices.Equal(d.points[:n], want) || !d.points[n].IsInfinity() {
		t.Fatalf("%d generators restored", end)
	}
	if d, end := restored(tag, 7); end != 7 || !slices.Equal(d.points, want[:7]) {
		t.Fatal("the first are others")
	}
	if d, end := restored("kept-test", n); end != 0 || !d.points[0].IsInfinity() {
		t.Fatal("the file of another tag is taken")
	}
	KeepIn("")
	if _, end := restored(tag, n); end != 0 {
		t.Fatal("something is read though nothing is kept")
	}
	forget(tag)
	more := slices.Clone(Generators(tag, 0, n+keepMany))
	KeepIn(filepath.Dir(file))
	forget(tag)
	if got := Generators(tag, 0, n+keepMany); !slices.Equal(got, more) {
		t.Fatal("restored and derived ones do not go together")
	}
	if _, end := restored(tag, 2*n); end != n+keepMany {
		t.Fatalf("the file has %d", end)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	Generators(tag, 0, n+keepMany+1) // too few to be kept
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Fatal("the file is written for one generator")
	}
}

// What was derived before goes into a file with what is derived now.
func TestKeptGrows(t *testing.T) {
	const tag, n = "kept/grows", 2 * keepMany
	keptWith(t, tag, keepMany)
	want := slices.Clone(Generators(tag, 0, n))
	if d, end := restored(tag, n); end != n || !slices.Equal(d.points, want) {
		t.Errorf("%d generators restored", end)
	}
	KeepIn("")
	if _, end := restored(tag, n); end != 0 {
		t.Error("nothing is kept, and read")
	}
}

// The one thing that a file can say falsely: a later try of a generator, another hash that is a point. It is taken, as is all of a file that holds.
func TestKeptLaterTry(t *testing.T) {
	const tag, n, i = "kept/later", keepMany, 3
	want, file := keptWith(t, tag, n)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entry := data[len(keptHead(tag, n))+i*keptEntry:][:keptEntry]
	var later Affine
	for found := false; !found; {
		entry[0]++
		odd := hashTo(&later.X, tag, i, int(entry[0]))
		square := cubeLess17(&later.X)
		if found = later.Y.Sqrt(&square) != nil; found && isOdd(&later.Y) != odd {
			later.Y.Neg(&later.Y)
		}
	}
	y := later.Y.Bytes()
	copy(entry[1:], y[:])
	sum := sha256.Sum256(data[:len(data)-sha256.Size])
	copy(data[len(data)-sha256.Size:], sum[:])
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	forget(tag)
	got := Generators(tag, 0, n)
	if !got[i].Equal(&later) || got[i].Equal(&want[i]) || !slices.Equal(got[i+1:], want[i+1:]) {
		t.Error("the file is not what was read")
	}
	forget(tag)
}

// A file in which anything is wrong gives nothing, whether or not its digest is made to fit; the generators are derived, and kept again.
func TestKeptTampered(t *testing.T) {
	const tag, n = "kept/tampered", keepMany
	want, file := keptWith(t, tag, n)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entry := len(keptHead(tag, n)) + 5*keptEntry
	negated := func(b []byte) { // the opposite point, which is on the curve
		y := new(fp.Element)
		y.Neg(&want[5].Y)
		raw := y.Bytes()
		copy(b[entry+1:], raw[:])
	}
	for name, change := range map[string]func([]byte) []byte{
		"nothing":       func(b []byte) []byte { return nil },
		"half":          func(b []byte) []byte { return b[:len(b)/2] },
		"one byte less": func(b []byte) []byte { return b[:len(b)-1] },
		"one byte more": func(b []byte) []byte { return append(b, 0) },
		"one entry less": func(b []byte) []byte {
			return append(b[:len(b)-sha256.Size-keptEntry:len(b)-sha256.Size-keptEntry], b[len(b)-sha256.Size:]...)
		},
		"magic":             func(b []byte) []byte { b[0] ^= 1; return b },
		"version":           func(b []byte) []byte { b[11]++; return b },
		"tag":               func(b []byte) []byte { b[15] ^= 1; return b },
		"number":            func(b []byte) []byte { b[len(keptHead(tag, n))-1]++; return b },
		"try":               func(b []byte) []byte { b[entry]++; return b },
		"ordinate":          func(b []byte) []byte { b[entry+20] ^= 4; return b },
		"ordinate's parity": func(b []byte) []byte { b[entry+32] ^= 1; return b },
		"opposite":          func(b []byte) []byte { negated(b); return b },
		"not reduced":       func(b []byte) []byte { b[entry+1] |= 0x80; return b },
		"entries swapped": func(b []byte) []byte {
			first, second := slices.Clone(b[entry:entry+keptEntry]), slices.Clone(b[entry+keptEntry:entry+2*keptEntry])
			copy(b[entry:], second)
			copy(b[entry+keptEntry:], first)
			return b
		},
		"digest": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		for _, fitting := range []bool{false, true} {
			bad := change(slices.Clone(good))
			if fitting && len(bad) > sha256.Size && name != "digest" {
				sum := sha256.Sum256(bad[:len(bad)-sha256.Size])
				copy(bad[len(bad)-sha256.Size:], sum[:])
			}
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, end := restored(tag, n); end != 0 {
				t.Errorf("%s, digest made to fit %v: %d generators are taken", name, fitting, end)
			}
			forget(tag)
			if got := Generators(tag, 0, n); !slices.Equal(got, want) {
				t.Errorf("%s, digest made to fit %v: other generators", name, fitting)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, good) {
				t.Errorf("%s: the file is not made again: %v", name, err)
			}
		}
	}
}

// Where nothing can be written or read generators are derived.
func TestKeptNowhere(t *testing.T) {
	const tag, n = "kept/nowhere", keepMany
	want, file := keptWith(t, tag, n)
	KeepIn(filepath.Join(file, "below a file"))
	forget(tag)
	if got := Generators(tag, 0, n); !slices.Equal(got, want) {
		t.Error("other generators")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	KeepIn(filepath.Dir(file))
	forget(tag)
	if got := Generators(tag, 0, n); !slices.Equal(got, want) {
		t.Error("other generators where the file is a folder")
	}
}

func BenchmarkKept(b *testing.B) {
	const tag, n = "kept/bench", 1 << 13
	keptWith(b, tag, n)
	for b.Loop() {
		if _, end := restored(tag, n); end != n {
			b.Fatal(end)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/generator")
}

package cost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/machine"
)

// storedName is the file of this machine's rates, in the folder where programs keep generators.
const storedName = "rates.json"

// stored is its content: rates of a processor, for work by a reference.
type stored struct {
	CPU       string `json:"cpu"`
	Threads   int    `json:"threads"`
	Reference string `json:"reference"` // which work is given by
	Rates     *Rates `json:"rates"`
}

// Store keeps the rates that were measured on this machine, in a file that it names.
func (r *Rates) Store(ctx context.Context, folder string) (name string, err error) {
	here := machine.Now()
	data, err := json.MarshalIndent(stored{here.CPU, here.Threads, fingerprint(), r}, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	name = filepath.Join(folder, storedName)
	return name, atomicfile.Write(ctx, name, append(data, '\n'), atomicfile.Options{Replace: true, Mode: 0o644})
}

// Stored are the rates that were measured on this machine; nil if there are none, or they are those of another processor, of other threads or for
// work by another reference.
func Stored(folder string) *Rates {
	if folder == "" {
		return nil
	}
	data, err := atomicfile.Read(filepath.Join(folder, storedName), 1<<16)
	var s stored
	if err != nil || json.Unmarshal(data, &s) != nil {
		return nil
	}
	if here := machine.Now(); s.CPU != here.CPU || s.Threads != here.Threads || s.Reference != fingerprint() || s.Rates == nil || !s.Rates.Complete() {
		return nil
	}
	return s.Rates
}

// Complete says that there is a pace of everything.
func (r *Rates) Complete() bool {
	for _, p := range (&Work{}).Phases() {
		if !r.Phases[p.Name].valid() {
			return false
		}
	}
	return r.Decoding.valid() && r.Setup.valid()
}

// fingerprint tells references apart: by what they say of every kind of work.
func fingerprint() string {
	const n = 1 << 30
	said := []any{SetupWork(n), TokenWork(n, 0, 0, 1), TokenWork(0, n, 0, 1), TokenWork(0, 0, n, 1)}
	for _, w := range []Work{{Part: Part{Weights: n}}, {Part: Part{Witness: n}}, {Part: Part{Virtual: n}}, {Part: Part{Products: n}}, {Part: Part{Leaves: n}}, {Part: Part{Padded: n}}, {Part: Part{Columns: n}}, {Part: Part{Factors: n}}, {Points: n}} {
		said = append(said, w.Phases())
	}
	sum := sha256.Sum256(fmt.Append(nil, said...))
	return fmt.Sprintf("%x", sum[:8])
}

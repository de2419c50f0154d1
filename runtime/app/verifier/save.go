package verifier

import "github.com/zkllmc/zkllmc/internal/console"

// savable refuses, before any work, to write where no file can be written, or over the key that is read, or over a prover key.
func savable(name, key string, force bool) error {
	if err := console.Named("--save", name); err != nil {
		return err
	}
	if console.SameFile(name, key) {
		return console.Usagef("--save would write over %s, the verifying key", key)
	}
	if err := console.Replaceable(name); err != nil {
		return err
	}
	return console.Writable(force, name)
}

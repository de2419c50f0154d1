package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/emulator"
	"github.com/zkllmc/zkllmc/cuda/kernels"
)

// planted is the variable that names the fault which is planted.
const planted = "ZKLLMC_FAULT"

// Open begins an emulated device that notices what is out of place, with other orders of threads and blocks in every call with another seed. It
// ends with the test, when all is freed.
func Open(t testing.TB, c emulator.Config) *emulator.Device {
	t.Helper()
	c.Sanitize = true
	sources := kernels.Sources()
	if name := os.Getenv(planted); name != "" {
		c.Flags = append(c.Flags, "-Wno-error")
		for _, f := range faults {
			if f.name == name {
				var err error
				sources, err = f.plant(sources)
				require.NoError(t, err)
			}
		}
	}
	d, err := emulator.Open(sources, c)
	if errors.Is(err, emulator.ErrNoCompiler) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		info, err := d.Info()
		require.NoError(t, err)
		require.Equal(t, info.Total, info.Free, "all is freed")
		require.NoError(t, d.Close())
	})
	return d
}

// fault is a change of the kernels that some test has to notice.
type fault struct {
	name, file string
	was, is    string // the place in the file, and what stands there then
	pkg        string // whose tests notice it
}

// plant returns the sources with the fault.
func (f *fault) plant(sources fs.FS) (fs.FS, error) {
	changed := fstest.MapFS{}
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sources, path)
		if path == f.file {
			if n := strings.Count(string(text), f.was); n != 1 {
				return fmt.Errorf("%s: %s has %q %d times", f.name, f.file, f.was, n)
			}
			text = []byte(strings.Replace(string(text), f.was, f.is, 1))
		}
		changed[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err == nil && changed[f.file] == nil {
		err = fmt.Errorf("%s: there is no %s", f.name, f.file)
	}
	return changed, err
}

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package atomicfile_test

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// special makes in a folder one of each kind of what is no regular file, as far as that takes no privileges.
func special(t *testing.T, dir string) []string {
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
	l, err := net.Listen("unix", at("socket"))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	require.NoError(t, os.Mkdir(at("folder"), 0o700))
	require.NoError(t, os.WriteFile(at("file"), []byte("theirs"), 0o600))
	links := map[string]string{"toFile": "file", "toFolder": "folder", "toPipe": "pipe", "toNothing": "nothing"}
	for name, target := range links {
		require.NoError(t, os.Symlink(target, at(name)))
	}
	return []string{"pipe", "socket", "folder", "toFile", "toFolder", "toPipe", "toNothing"}
}

// kinds are the types of the named files.
func kinds(t *testing.T, dir string, names []string) (out []fs.FileMode) {
	for _, n := range names {
		info, err := os.Lstat(filepath.Join(dir, n))
		require.NoError(t, err)
		out = append(out, info.Mode().Type())
	}
	return out
}

// TestReplacesRegularFilesOnly finds pipes, sockets and links under the name, when it begins and when the file is to have its name.
func TestReplacesRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	names := special(t, dir)
	before := kinds(t, dir, names)
	for _, replace := range []bool{true, false} {
		o := atomicfile.Options{Replace: replace}
		for i, n := range names {
			name := filepath.Join(dir, n)
			want := "it is no regular file"
			if before[i] == fs.ModeDir {
				want = "it is a folder"
			} else if before[i] == fs.ModeSymlink {
				want = "it is a symbolic link"
			}
			for _, err := range []error{atomicfile.Check(name, o), atomicfile.Write(bg, name, nil, o)} {
				require.ErrorContains(t, err, name+": "+want)
				require.NotErrorIs(t, err, atomicfile.ErrExists, "nobody is told to replace it")
			}

			require.NoError(t, os.Rename(name, name+".away"))
			late, err := atomicfile.Prepare(bg, name, []byte("ours"), o)
			require.NoError(t, err)
			require.NoError(t, os.Rename(name+".away", name))
			require.Error(t, late.Commit(), n)
			require.Equal(t, before, kinds(t, dir, names), n)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.Equal(t, "theirs", string(got))
	only(t, dir, append(names, "file")...)
}

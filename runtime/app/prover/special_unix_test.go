//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package prover_test

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForceReplacesFilesOnly names a pipe and a link to it, as /dev/stdout may be one, as outputs with --force.
func TestForceReplacesFilesOnly(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.Mkdir(b.file("odd"), 0o755))
	require.NoError(t, syscall.Mkfifo(b.file("odd/model.vk"), 0o600))
	require.NoError(t, os.Symlink("model.vk", b.file("odd/link")))
	for name, want := range map[string]string{"odd/model.vk": "it is no regular file", "odd/link": "it is a symbolic link"} {
		for _, line := range []string{
			"prove --force --key @keys/prover.key --prompt a -o @NAME --statement-out @q.bin",
			"prove --force --key @keys/prover.key --prompt a -o @q.bin --statement-out @NAME",
			"statement --force --prompt a --answer b -o @NAME",
			"setup --force --weights @weights.zkw -o @odd",
		} {
			_, stderr := b.prover(3, strings.Replace(line, "NAME", name, 1))
			if !strings.HasPrefix(line, "setup") {
				require.Contains(t, stderr, b.file(name)+": "+want, line)
			}
			require.NotContains(t, stderr, "read key", line)
		}
		_, stderr := b.verifier(3, "accept --force --save @"+name+" @keys/model.vk")
		require.Contains(t, stderr, b.file(name)+": "+want)
	}
	for name, kind := range map[string]fs.FileMode{"odd/model.vk": fs.ModeNamedPipe, "odd/link": fs.ModeSymlink} {
		info, err := os.Lstat(b.file(name))
		require.NoError(t, err)
		require.Equal(t, kind, info.Mode().Type())
	}
	require.NoFileExists(t, b.file("q.bin"))
	require.NoFileExists(t, b.file("odd/prover.key"))
}

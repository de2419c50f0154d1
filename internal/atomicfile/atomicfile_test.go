package atomicfile_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

var bg = context.Background()

// only checks that a folder holds the named files and nothing else.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, names, got)
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	for i, o := range []atomicfile.Options{{}, {Mode: 0o644, Replace: true}, {Mode: 0o600, Replace: true}} {
		content := bytes.Repeat([]byte{byte(i)}, 5<<20) // more than a chunk
		require.NoError(t, atomicfile.Write(bg, name, content, o))
		got, err := atomicfile.Read(name, 5<<20)
		require.NoError(t, err)
		require.Equal(t, content, got)
		only(t, dir, "f")
		if info, err := os.Stat(name); runtime.GOOS != "windows" {
			require.NoError(t, err)
			require.Equal(t, map[bool]fs.FileMode{true: 0o644, false: 0o600}[o.Mode == 0o644], info.Mode().Perm())
		}
	}
}

func TestRefusesToReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	require.NoError(t, atomicfile.Write(bg, name, []byte("old"), atomicfile.Options{}))
	require.ErrorIs(t, atomicfile.Write(bg, name, []byte("new"), atomicfile.Options{}), atomicfile.ErrExists)

	// A file that appears between Create and Commit is not replaced either.
	late := filepath.Join(dir, "late")
	f, err := atomicfile.Create(late, atomicfile.Options{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(late, []byte("theirs"), 0o600))
	_, err = f.Write([]byte("ours"))
	require.NoError(t, err)
	require.ErrorIs(t, f.Commit(), atomicfile.ErrExists)
	for name, want := range map[string]string{name: "old", late: "theirs"} {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	only(t, dir, "f", "late")
	require.Error(t, atomicfile.Check(dir, atomicfile.Options{Replace: true}), "a folder is never replaced")
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, atomicfile.Check(filepath.Join(dir, "f"), atomicfile.Options{}))
	only(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o600))
	require.ErrorIs(t, atomicfile.Check(filepath.Join(dir, "f"), atomicfile.Options{}), atomicfile.ErrExists)
	require.NoError(t, atomicfile.Check(filepath.Join(dir, "f"), atomicfile.Options{Replace: true}))
	require.ErrorIs(t, atomicfile.Check(filepath.Join(dir, "missing", "f"), atomicfile.Options{}), fs.ErrNotExist)
}

func TestLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	require.ErrorIs(t, atomicfile.Write(ctx, filepath.Join(dir, "f"), []byte("x"), atomicfile.Options{}), context.Canceled)
	f, err := atomicfile.Create(filepath.Join(dir, "g"), atomicfile.Options{})
	require.NoError(t, err)
	_, err = f.Write([]byte("half"))
	require.NoError(t, err)
	f.Discard()
	require.Error(t, atomicfile.Write(bg, filepath.Join(dir, "missing", "f"), nil, atomicfile.Options{}))
	only(t, dir)
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(name, []byte("12345"), 0o600))
	_, err := atomicfile.Read(name, 4)
	require.ErrorIs(t, err, atomicfile.ErrSize)
	require.ErrorContains(t, err, name)
	_, err = atomicfile.Read(dir, 4)
	require.ErrorContains(t, err, "folder")
	_, err = atomicfile.Read(filepath.Join(dir, "g"), 4)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// size is large enough that a write takes milliseconds.
const size = 16 << 20

// TestMain plays the child that is killed: it writes files of one repeated byte for ever.
func TestMain(m *testing.M) {
	name := os.Getenv("ATOMICFILE_TEST_WRITE")
	if name == "" {
		os.Exit(m.Run())
	}
	os.Stdout.WriteString("ready\n")
	for i := byte('a'); ; i = 'a' + (i+1-'a')%26 {
		if err := atomicfile.Write(bg, name, bytes.Repeat([]byte{i}, size), atomicfile.Options{Replace: true}); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		if i == 'a' {
			os.Stdout.WriteString("wrote\n")
		}
	}
}

// TestKilled kills a child that writes, at different moments: under the name is always a whole file, an old or a new one.
func TestKilled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, atomicfile.Write(bg, name, bytes.Repeat([]byte{'-'}, size), atomicfile.Options{}))
	self, err := os.Executable()
	require.NoError(t, err)
	fresh := 0
	for i := range 12 {
		c := exec.Command(self)
		c.Env = append(os.Environ(), "ATOMICFILE_TEST_WRITE="+name)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		_, err = out.Read(make([]byte, 6))
		require.NoError(t, err)
		if i == 11 { // however busy the machine is, one comes late
			_, err = out.Read(make([]byte, 6))
			require.NoError(t, err)
		}
		time.Sleep(time.Duration(i*i) * 2 * time.Millisecond)
		require.NoError(t, c.Process.Kill())
		require.Error(t, c.Wait(), "it wrote until it was killed")
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Len(t, got, size)
		require.Equal(t, size, bytes.Count(got, got[:1]), "one file, not parts of two")
		if got[0] != '-' {
			fresh++
		}
	}
	require.Positive(t, fresh, "no kill came late enough to see a new file")
	if locks {
		left, err := os.ReadDir(filepath.Dir(name))
		require.NoError(t, err)
		require.LessOrEqual(t, len(left), 2, "each child removed what the one before it left")
		require.NoError(t, atomicfile.Write(bg, name, nil, atomicfile.Options{Replace: true}))
		only(t, filepath.Dir(name), "f")
	}
}

// locks says whether this system has what the removal of abandoned files needs.
var locks = runtime.GOOS != "windows"

// TestSweep leaves temporary files as a killed process does. The next file of the name removes them; those that are being written,
// those of other names and what is no file of ours stay.
func TestSweep(t *testing.T) {
	if !locks {
		t.Skip("no locks to speak of")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	living, err := atomicfile.Create(name, atomicfile.Options{})
	require.NoError(t, err)
	_, err = living.Write([]byte("ours"))
	require.NoError(t, err)
	for _, n := range []string{".f.tmp-12", ".f.tmp-", ".f.tmp-1x", ".ff.tmp-12", "f.tmp-12"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte("secret"), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "f.tmp-12"), filepath.Join(dir, ".f.tmp-3")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".f.tmp-4"), 0o700))
	require.NoError(t, atomicfile.Check(name, atomicfile.Options{}))
	require.NoError(t, living.Commit())
	only(t, dir, "f", ".f.tmp-1x", ".ff.tmp-12", "f.tmp-12", ".f.tmp-3", ".f.tmp-4")
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "ours", string(got))
}

// TestCommitAll gives two files their names, and then two of which the second finds its name taken.
func TestCommitAll(t *testing.T) {
	dir := t.TempDir()
	prepare := func(name string) *atomicfile.File {
		f, err := atomicfile.Prepare(bg, filepath.Join(dir, name), []byte(name), atomicfile.Options{})
		require.NoError(t, err)
		return f
	}
	done, err := atomicfile.CommitAll(nil, prepare("a"), prepare("b"))
	require.NoError(t, err)
	require.Equal(t, 2, done)
	only(t, dir, "a", "b")
	files := []*atomicfile.File{prepare("c"), prepare("d"), prepare("e")}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d"), []byte("theirs"), 0o600))
	done, err = atomicfile.CommitAll(nil, files...)
	require.ErrorIs(t, err, atomicfile.ErrExists)
	require.Equal(t, 1, done)
	only(t, dir, "a", "b", "c", "d")
	got, err := os.ReadFile(filepath.Join(dir, "d"))
	require.NoError(t, err)
	require.Equal(t, "theirs", string(got))

	// What comes before the names sees none, and may refuse all of them.
	done, err = atomicfile.CommitAll(func() error {
		require.NoFileExists(t, filepath.Join(dir, "f"))
		return fs.ErrPermission
	}, prepare("f"), prepare("g"))
	require.ErrorIs(t, err, fs.ErrPermission)
	require.Zero(t, done)
	only(t, dir, "a", "b", "c", "d")
}

// A lock is one process's at a time; who closes it gives it back.
func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := atomicfile.Lock(name)
	require.NoError(t, err)
	_, err = atomicfile.Lock(name)
	require.ErrorIs(t, err, atomicfile.ErrLocked)
	require.NoError(t, first.Close())
	again, err := atomicfile.Lock(name)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

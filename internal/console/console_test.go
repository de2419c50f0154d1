package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/format"
)

// short is a device with room for a few bytes.
type short struct{ room int }

var errFull = errors.New("full")

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// What is lost is said, and a success becomes a failure; a failure keeps its own code. Nothing is written behind a gap.
func TestLostOutput(t *testing.T) {
	for code, want := range map[int]int{OK: Internal, Rejected: Rejected, Usage: Usage} {
		device := &short{room: 4}
		o := NewOutput(device)
		n, err := o.Write([]byte("one "))
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Equal(t, code, o.Finish("p", code, nil), "nothing is lost yet")
		_, err = o.Write([]byte("two"))
		require.ErrorIs(t, err, errFull)
		device.room = 100
		_, err = o.Write([]byte("three"))
		require.ErrorIs(t, err, errFull)
		require.Equal(t, 100, device.room)
		var stderr bytes.Buffer
		require.Equal(t, want, o.Finish("p", code, &stderr))
		require.Equal(t, "p: the standard output could not be written: full\n", stderr.String())
	}
}

// What is interrupted returns at once; a panic is an error.
func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	v, err := Interruptible(ctx, func() (int, error) { return 3, nil })
	require.NoError(t, err)
	require.Equal(t, 3, v)
	_, err = Interruptible(ctx, func() (int, error) { panic("oh") })
	require.ErrorIs(t, err, ErrPanic)
	require.ErrorContains(t, err, "oh")
	_, err = Interruptible(ctx, func() (int, error) { cancel(); select {} })
	require.ErrorIs(t, err, context.Canceled)
}

// What --version tells, of a release, of a build from a clone, and of a program that links one or the other.
func TestBuilds(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "true"}}
	us := func(version, sum string) debug.Module { return debug.Module{Path: Module, Version: version, Sum: sum} }
	dep := func(m debug.Module, replaced bool) *debug.BuildInfo {
		if replaced {
			m.Replace = &debug.Module{Path: "../clone"}
		}
		return &debug.BuildInfo{Main: debug.Module{Path: "zkllmc.local/x", Version: "v9.9.9", Sum: "h1:x"}, Deps: []*debug.Module{{Path: "other"}, &m}, Settings: vcs}
	}
	for _, c := range []struct {
		name string
		info *debug.BuildInfo
		want Build
		says string
	}{
		{"installed", &debug.BuildInfo{Main: us("v0.3.0", "h1:x")}, Build{Version: "v0.3.0", Sum: "h1:x"}, "version   v0.3.0\ncommit    that of the tag v0.3.0\n"},
		{"installed by commit", &debug.BuildInfo{Main: us("v0.0.0-20260102030405-0123456789ab", "h1:x")},
			Build{Version: "v0.0.0-20260102030405-0123456789ab", Commit: "0123456789ab", Sum: "h1:x"}, "commit    0123456789ab\n"},
		{"clone", &debug.BuildInfo{Main: us("v0.0.0-20260102030405-0123456789ab+dirty", ""), Settings: vcs}, Build{Commit: commit, Changed: true},
			"version   development build\ncommit    " + commit + ", changed\n"},
		{"no version control", &debug.BuildInfo{Main: us("(devel)", "")}, Build{}, "version   development build\ncommit    " + unknown + "\n"},
		{"linked", dep(us("v0.3.0", "h1:x"), false), Build{Version: "v0.3.0", Sum: "h1:x"}, "version   v0.3.0\n"},
		{"linked from a clone", dep(us("v0.3.0", "h1:x"), true), Build{}, "version   development build\ncommit    " + unknown + "\n"},
		{"elsewhere", &debug.BuildInfo{Main: debug.Module{Path: "x", Version: "v1.0.0", Sum: "h1:x"}}, Build{}, "development build"},
	} {
		b := NewBuild(c.info)
		require.Equal(t, c.want, b, c.name)
		require.Contains(t, b.Lines("p/v1"), c.says, c.name)
		require.True(t, strings.HasSuffix(b.Lines("p/v1"), "protocol  p/v1\n"))
	}
	gomod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(gomod), "module "+Module+"\n"))
}

// README has the table of exit codes word by word.
func TestExitCodesAreDocumented(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(string(readme)), " "), strings.Join(strings.Fields(ExitCodes), " "))
}

// What is in a file is the text, but for one line end behind it.
func TestReadText(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	for content, want := range map[string]string{
		"": "", "\n": "", "a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", "a\r\n\r\n": "a\r\n", "\na": "\na", "a\r": "a\r", " a \n": " a ", "a\nb\n": "a\nb", "\xff\n": "\xff",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		text, err := ReadText(file, nil)
		require.NoError(t, err)
		require.Equal(t, want, text, "%q", content)
		text, err = ReadText("-", strings.NewReader(content))
		require.NoError(t, err)
		require.Equal(t, want, text, "%q", content)
	}
	_, err := ReadText("-", nil)
	require.ErrorContains(t, err, "no standard input")
	_, err = ReadText(file+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	large := bytes.Repeat([]byte("a"), MaxText)
	text, err := ReadText("-", bytes.NewReader(large))
	require.NoError(t, err)
	require.Len(t, text, MaxText)
	_, err = ReadText("-", bytes.NewReader(append(large, 'a')))
	require.ErrorIs(t, err, atomicfile.ErrSize)
	require.NoError(t, os.WriteFile(file, append(large, 'a'), 0o600))
	_, err = ReadText(file, nil)
	require.ErrorIs(t, err, atomicfile.ErrSize)
}

// A text is given once, and the standard input is read once.
func TestGiven(t *testing.T) {
	for _, c := range []struct {
		given Given
		says  string
	}{
		{Given{}, ""}, {Given{"prompt": "", "answer-file": "-"}, ""}, {Given{"prompt-file": "-", "answer-file": "f"}, ""},
		{Given{"prompt": "", "prompt-file": "f"}, "only one of --prompt and --prompt-file"}, {Given{"tokens-file": "f", "prompt": "a"}, "only one of --prompt and --tokens-file"},
		{Given{"answer-tokens": "1", "answer-tokens-file": "f"}, "only one of --answer-tokens and --answer-tokens-file"},
		{Given{"messages": "-", "answer": "b"}, ""}, {Given{"prompt": "a", "messages": "f"}, "only one of --prompt and --messages"},
		{Given{"messages": "-", "answer-file": "-"}, "read once, for --messages or for --answer-file"},
		{Given{"prompt-file": "-", "answer-tokens-file": "-"}, "read once, for --prompt-file or for --answer-tokens-file"},
	} {
		err := c.given.Check()
		if c.says == "" {
			require.NoError(t, err, c.given)
			continue
		}
		require.ErrorContains(t, err, c.says)
	}
	g := Given{"prompt-file": "-", "answer": "b"}
	require.NoError(t, g.Read(strings.NewReader("a\n")))
	require.Equal(t, "a", g["prompt"])
	require.Equal(t, "prompt-file", g.Flag("prompt"))
	require.Equal(t, "answer", g.Flag("answer"))
	g = Given{"messages": "-"}
	require.NoError(t, g.Read(strings.NewReader("[]\n")))
	require.Equal(t, Given{"messages": "[]"}, g)
	require.ErrorContains(t, Given{"tokens-file": filepath.Join(t.TempDir(), "x")}.Read(nil), "--tokens-file: open ")
}

// What a command line refuses to write to, and how it says so; and a file that is too large is refused for its kind, if it is of another.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, data string) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte(data), 0o600))
		return name
	}
	secret, proof := put("prover.key", format.MagicProverKey+"…"), put("proof.bin", format.MagicProof+"…")
	require.True(t, SameFile(secret, filepath.Join(dir, ".", "prover.key")))
	require.True(t, SameFile(filepath.Join(dir, "new"), filepath.Join(dir, "..", filepath.Base(dir), "new")))
	require.False(t, SameFile(secret, proof))
	for name, c := range map[string]struct {
		code int
		want string
		err  error
	}{
		"empty":          {Usage, "--out is empty", Named("--out", "")},
		"standard":       {Usage, "this is not written to the standard output", Named("--out", "-")},
		"secret":         {Usage, "is a prover key", Replaceable(proof, secret)},
		"taken":          {Usage, "--force replaces it", Writable(false, proof)},
		"no such folder": {Unreadable, "does not exist; create it", Writable(true, filepath.Join(dir, "no", "such"))},
		"no folder":      {Unreadable, "proof.bin is no folder; name a file in one", Writable(true, filepath.Join(proof, "x"))},
	} {
		var f *Failure
		require.ErrorAs(t, c.err, &f, name)
		require.Equal(t, c.code, f.Code, name)
		require.ErrorContains(t, f, c.want, name)
	}
	require.NoError(t, errors.Join(Named("--out", proof), Replaceable(proof, filepath.Join(dir, "new")), Writable(true, proof), WriteFailure(proof, nil)))
	_, err := ReadArtefact(secret, format.MagicProof, 4)
	require.ErrorIs(t, err, format.ErrMagic)
	_, err = ReadArtefact(proof, format.MagicProof, 4)
	require.ErrorIs(t, err, atomicfile.ErrSize)
}

var dropped []byte

// With garbage that may always be left, the collector does not run for every few slices that are made and dropped beside little that is held.
func TestCollectAfter(t *testing.T) {
	debug.SetGCPercent(early)
	collectAfter(1 << 28) // from here on it is so in this process
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		dropped = make([]byte, 1<<20)
	}
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, after.NumGC-before.NumGC, uint32(1))
}

// What is kept lies where the variable says, nowhere if it is empty, and else where the user's files of this kind do.
func TestCacheFolder(t *testing.T) {
	t.Setenv("HOME", "/somebody")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("ZKLLMC_CACHE", "/here")
	require.Equal(t, "/here", CacheFolder())
	t.Setenv("ZKLLMC_CACHE", "")
	require.Empty(t, CacheFolder())
	require.NoError(t, os.Unsetenv("ZKLLMC_CACHE"))
	user, err := os.UserCacheDir()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(user, "zkllmc", "generators"), CacheFolder())
	t.Setenv("HOME", "")
	if _, err := os.UserCacheDir(); err != nil { // elsewhere than on Unix another variable says where
		require.Empty(t, CacheFolder())
	}
}

// Who spelled a command line well and asks for what cannot be is not told to read about its flags.
func TestHints(t *testing.T) {
	for hint, err := range map[string]error{
		"prover: a word\nhint\n": Usagef("a word"),
		"prover: a file\n":       Askedf("a file"),
	} {
		var said strings.Builder
		require.Equal(t, Usage, Report(context.Background(), "prover", "hint", NewOutput(io.Discard), &said, err))
		require.Equal(t, hint, said.String())
	}
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	var said strings.Builder
	require.Equal(t, Usage, Report(context.Background(), "prover", "hint", NewOutput(io.Discard), &said, Writable(false, name)))
	require.Equal(t, "prover: "+name+": the file exists; --force replaces it\n", said.String())
}

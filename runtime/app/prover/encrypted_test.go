package prover_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/format"
)

// identity writes a new age identity to a file, and returns its recipient.
func (b *bench) identity(name string) string {
	id, err := age.GenerateX25519Identity()
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(b.file(name), []byte(id.String()+"\n"), 0o600))
	return id.Recipient().String()
}

// encrypt writes an encrypted copy of a file.
func (b *bench) encrypt(from, to string, r age.Recipient) {
	b.change(from, to, func(plain []byte) []byte {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, r)
		require.NoError(b.t, err)
		_, err = w.Write(plain)
		require.NoError(b.t, err)
		require.NoError(b.t, w.Close())
		return out.Bytes()
	})
}

// A key that setup encrypts proves with an identity, and is refused without one, with another and when it is damaged, in words that say what to do.
// Nothing secret is in the clear in any file that setup, run and prove leave, nor where they were killed.
func TestEncryptedKey(t *testing.T) {
	b := proved(t, configs["argmax"])
	secrets := b.secrets()
	require.NoError(t, os.Rename(b.file("keys/prover.key"), b.file("plain.key")))
	recipient := b.identity("id")
	b.identity("other")
	parsed, err := age.ParseX25519Recipient(recipient)
	require.NoError(t, err)
	b.encrypt("plain.key", "keys/prover.key", parsed)
	b.encrypt("weights.zkw", "sealed.zkw", parsed)
	_, clear := b.prover(0, "run --identity @id --prompt a --key @plain.key")
	require.Contains(t, clear, "prover: warning: "+b.file("plain.key")+" is not encrypted: neither identity nor passphrase is needed")
	require.NoError(t, os.Remove(b.file("plain.key")))
	require.NoError(t, os.Remove(b.file("weights.zkw")))

	out, _ := b.prover(0, "setup --weights @sealed.zkw --identity @id --encrypt-to "+recipient+" -o @mine --json")
	require.Contains(t, out, `"prover_key_encrypted": true`)
	out, said := b.prover(0, "setup --force --weights @sealed.zkw --identity @id --encrypt-to "+recipient+" -o @mine")
	require.Contains(t, out, "bytes, encrypted)")
	require.NotContains(t, said, "warning")
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(b.file("id"), 0o644))
		_, said = b.prover(0, "run --identity @id --prompt a --key @keys/prover.key")
		require.Contains(t, said, "prover: warning: others can read or change "+b.file("id")+" (mode 0644): chmod 600 keeps it to you\n")
		require.NoError(t, os.Chmod(b.file("id"), 0o600))
		_, said = b.prover(0, "run --identity @id --prompt a --key @keys/prover.key")
		require.NotContains(t, said, "warning")
	}
	for _, key := range []string{"@keys/prover.key", "@mine/prover.key"} {
		out, _ = b.prover(0, "run --identity @other --identity @id --prompt a --key "+key)
		require.Equal(t, "bcd;\n", out)
		b.prover(0, "prove --force --identity @id --prompt a -o @p.bin --statement-out @s.bin --key "+key)
	}
	b.verifier(0, "accept --force --save @model.id @mine/model.vk")
	b.verifier(0, strings.Replace(verifyLine, "@keys", "@mine", 1))
	b.change("mine/prover.key", "cut.key", truncated)
	b.change("mine/prover.key", "changed.key", func(d []byte) []byte { d[len(d)/2] ^= 1; return d })
	for line, want := range map[string]string{
		"run --prompt a --key @mine/prover.key":                                         b.file("mine/prover.key") + ": it is encrypted; --identity FILE names",
		"run --prompt a --key @mine/prover.key --identity @other":                       "no identity in " + b.file("other") + " opens it",
		"run --prompt a --key @cut.key --identity @id":                                  b.file("cut.key") + ": ",
		"run --prompt a --key @changed.key --identity @id":                              "was changed or cut off",
		"run --prompt a --key @sealed.zkw --identity @id":                               "it is a weights file, not a prover key",
		"prove --prompt a --key @mine/prover.key -o @new --statement-out @more":         "it is encrypted; --identity FILE names",
		"setup --weights @sealed.zkw -o @new":                                           b.file("sealed.zkw") + ": it is encrypted; --identity FILE names",
		"setup --weights @mine/prover.key --identity @id -o @new":                       "it is a prover key, not a weights file",
		"setup --weights @sealed.zkw --identity @id --passphrase-file @no/such -o @new": "--passphrase-file: ",
	} {
		_, failed := b.prover(3, line)
		require.Contains(t, failed, want, line)
	}
	for line, want := range map[string]string{
		"run --prompt-file - --key @mine/prover.key --identity -":                                                 "the standard input is read once, for --identity or for --prompt-file",
		"prove --prompt a --key @mine/prover.key --identity @id -o @id --statement-out @new --force":              "would write over " + b.file("id"),
		"prove --prompt a --key @keys/prover.key --identity @id -o @mine/prover.key --statement-out @new --force": "is encrypted, as prover keys are",
		"setup --weights @sealed.zkw --identity @id --passphrase -o @new":                                         "asks on a terminal, and there is none",
		"setup --weights @sealed.zkw --identity @id --passphrase -o @mine":                                        "the file exists",
		"setup --weights @sealed.zkw --identity @id --encrypt-to me -o @new":                                      `"me" is no age recipient`,
	} {
		_, failed := b.prover(2, line)
		require.Contains(t, failed, want, line)
	}
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for what, s := range secrets {
			require.NotContains(t, string(data), string(s), "%s of %s", what, path)
		}
		return err
	}))
	_, said = b.prover(0, "setup --weights @sealed.zkw --identity @id -o @clear")
	require.Contains(t, said, "sealed.zkw is encrypted, and "+b.file("clear/prover.key")+", which holds the weights too, will not be")
}

// The passphrase of a key is asked for on the terminal, which does not show it, and who does not know it is told so. An interruption gives the
// terminal back as it was.
func TestPassphraseOnATerminal(t *testing.T) {
	b := proved(t, configs["argmax"])
	r, err := age.NewScryptRecipient("correct horse")
	require.NoError(t, err)
	r.SetWorkFactor(4)
	b.encrypt("keys/prover.key", "sealed.key", r)
	_, failed := b.prover(3, "run --key @sealed.key --prompt a")
	require.Contains(t, failed, "it is encrypted with a passphrase; --passphrase-file FILE names")
	require.NoError(t, os.WriteFile(b.file("word"), []byte("correct horse\n"), 0o600))
	out, _ := b.prover(0, "run --key @sealed.key --prompt a --passphrase-file @word")
	require.Equal(t, "bcd;\n", out)

	for typed, want := range map[string]string{"correct horse\n": "bcd;", "wrong\n": "not with this passphrase", "\x03": "interrupted"} {
		screen, err := pty.Start(b.process("argmax", "run --key @sealed.key --prompt a"))
		if err != nil {
			t.Skip("there are no terminals: " + err.Error())
		}
		var shown bytes.Buffer
		for !strings.HasSuffix(shown.String(), "Passphrase of "+b.file("sealed.key")+": ") {
			p := make([]byte, 1)
			_, err := screen.Read(p)
			require.NoError(t, err, &shown)
			shown.Write(p)
		}
		time.Sleep(100 * time.Millisecond) // the echo is off before anything is typed
		_, err = screen.WriteString(typed)
		require.NoError(t, err)
		_, _ = io.Copy(&shown, screen) // ends with an error of the closed terminal
		require.Contains(t, shown.String(), want)
		require.NotContains(t, shown.String(), strings.TrimSpace(typed))
		require.NoError(t, screen.Close())
	}
}

// What is secret of a setup that was interrupted is encrypted as its key is to be, and is gone on from with what opens it.
func TestEncryptedWork(t *testing.T) {
	d := pieces(t)
	recipient := d.identity("id")
	line := "setup --weights @weights.zkw -o @keys --encrypt-to " + recipient
	d.interrupted(line, 1)
	seed := d.contents("keys/setup.work/seed")[0]
	require.True(t, strings.HasPrefix(seed, format.IntroSealed))
	_, failed := d.prover(3, line)
	require.Contains(t, failed, "what an unfinished setup left in "+d.file("keys/setup.work")+": it is encrypted; --identity FILE names the file of an age identity that opens it; or remove it")
	_, said := d.prover(0, line+" --identity @id")
	require.Contains(t, said, "goes on from what")
	require.NoDirExists(t, d.file("keys/setup.work"))

	d.interrupted(strings.ReplaceAll("setup --force --weights @weights.zkw -o @keys", "@keys", "@plain"), 1)
	_, failed = d.prover(3, strings.ReplaceAll(line, "@keys", "@plain"))
	require.Contains(t, failed, "is not encrypted, and the prover's key is to be: remove it and begin anew")
}

package sealed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
)

func TestMain(m *testing.M) {
	work = 4 // a passphrase of a test needs no protection
	os.Exit(m.Run())
}

// content is of several chunks of age, and a part of one.
var content = bytes.Repeat([]byte("weights and what hides them. "), 1<<13)

func put(t *testing.T, name string, data []byte) string {
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(name, data, 0o600))
	return name
}

// identity makes an identity in a file, and its recipient.
func identity(t *testing.T) (file, recipient string) {
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return put(t, "identity", []byte("# of a test\n"+id.String()+"\n")), id.Recipient().String()
}

// sealedBy encrypts the content.
func sealedBy(t *testing.T, recipients []string, passphrase string) []byte {
	s, err := To(recipients, passphrase)
	require.NoError(t, err)
	require.True(t, s.Seals())
	var out bytes.Buffer
	require.NoError(t, s.Write(&out, func(w io.Writer) error { _, err := w.Write(content); return err }))
	require.NotContains(t, out.String(), string(content[:16]))
	return out.Bytes()
}

// opened reads all that an opener makes of a file.
func opened(t *testing.T, o *Opener, file []byte) ([]byte, error) {
	plain, size, err := o.Open(t.Context(), "the file", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	_, err = io.ReadFull(io.NewSectionReader(plain, 0, size), out)
	return out, err
}

// What is encrypted for several is opened by each, with a passphrase by that, and what is not encrypted is read as it is.
func TestSealAndOpen(t *testing.T) {
	first, to := identity(t)
	second, too := identity(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	passphrase := put(t, "passphrase", []byte("correct horse\n"))
	for name, c := range map[string]struct {
		file []byte
		by   Opener
	}{
		"plain":      {content, Opener{}},
		"short":      {content[:3], Opener{Identities: []string{first}}},
		"first":      {sealedBy(t, []string{to, too}, ""), Opener{Identities: []string{first}}},
		"second":     {sealedBy(t, []string{to, too}, ""), Opener{Identities: []string{first, second}}},
		"standard":   {sealedBy(t, []string{to}, ""), Opener{Identities: []string{console.Stdin}, Stdin: must(os.Open(first))}},
		"hybrid":     {sealedBy(t, []string{hybrid.Recipient().String()}, ""), Opener{Identities: []string{put(t, "hybrid", []byte(hybrid.String()))}}},
		"passphrase": {sealedBy(t, nil, "correct horse"), Opener{Passphrase: passphrase}},
		"piped":      {sealedBy(t, nil, "correct horse"), Opener{Passphrase: console.Stdin, Stdin: strings.NewReader("correct horse\n")}},
		"asked": {sealedBy(t, nil, "correct horse"), Opener{Ask: func(_ context.Context, what string) (string, error) {
			require.Equal(t, "Passphrase of the file", what)
			return "correct horse", nil
		}}},
	} {
		for range 2 { // identities and passphrases are read once
			out, err := opened(t, &c.by, c.file)
			require.NoError(t, err, name)
			require.Equal(t, content[:len(out)], out, name)
			require.True(t, len(out) == len(content) || name == "short")
		}
		said, ok := c.by.Said()
		require.Equal(t, strings.HasPrefix(string(c.file), withPassphrase), ok, name)
		require.True(t, !ok || said == "correct horse")
	}
	require.True(t, Is(put(t, "sealed", sealedBy(t, nil, "a"))))
	require.False(t, Is(put(t, "plain", content)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Whoever opens a file with nothing, or with the wrong thing, is told what to do; secrets are not quoted.
func TestRefusals(t *testing.T) {
	_, to := identity(t)
	other, _ := identity(t)
	forRecipient, forPassphrase := sealedBy(t, []string{to}, ""), sealedBy(t, nil, "correct horse")
	var text bytes.Buffer
	w := armor.NewWriter(&text)
	_, err := w.Write(forRecipient)
	require.NoError(t, errors.Join(err, w.Close()))
	const secret = "AGE-SECRET-KEY-1NOTONE"
	for name, c := range map[string]struct {
		file []byte
		by   Opener
		says string
	}{
		"nothing":          {forRecipient, Opener{}, "it is encrypted; --identity FILE names"},
		"a passphrase":     {forRecipient, Opener{Passphrase: put(t, "p", []byte("a"))}, "it is encrypted; --identity FILE names"},
		"another":          {forRecipient, Opener{Identities: []string{other}}, "no identity in " + other + " opens it"},
		"no identities":    {forRecipient, Opener{Identities: []string{put(t, "i", []byte(secret))}}, "it holds no identities"},
		"no file":          {forRecipient, Opener{Identities: []string{"/no/such"}}, "--identity: "},
		"nobody":           {forPassphrase, Opener{Identities: []string{other}}, "encrypted with a passphrase; --passphrase-file FILE names"},
		"wrong passphrase": {forPassphrase, Opener{Passphrase: put(t, "p", []byte("a"))}, "not with this passphrase"},
		"empty":            {forPassphrase, Opener{Passphrase: put(t, "p", []byte("\n"))}, "is empty"},
		"lines":            {forPassphrase, Opener{Passphrase: put(t, "p", []byte("a\nb\n"))}, "has several lines"},
		"too much work":    {bytes.Replace(forPassphrase, []byte(" 4\n"), []byte(" 21\n"), 1), Opener{Passphrase: put(t, "p", []byte("correct horse"))}, "work factor too large: 21"},
		"armored":          {text.Bytes(), Opener{Identities: []string{other}}, "without --armor"},
	} {
		_, err := opened(t, &c.by, c.file)
		require.ErrorContains(t, err, c.says, name)
		require.NotContains(t, err.Error(), secret)
	}
}

// Wherever a file is changed or cut off, something of it is refused, and nothing is handed out that was not written.
func TestDamage(t *testing.T) {
	id, to := identity(t)
	file := sealedBy(t, []string{to}, "")
	for i := 0; i < len(file); i += 1 + len(file)/200 {
		for _, bad := range [][]byte{file[:i], append(append(append([]byte{}, file[:i]...), file[i]^1), file[i+1:]...)} {
			if !bytes.HasPrefix(bad, []byte(format.IntroSealed)) {
				continue // it is not taken for an encrypted file, nor for any other
			}
			out, err := opened(t, &Opener{Identities: []string{id}}, bad)
			require.Error(t, err, i)
			n := 0
			for n < len(out) && n < len(content) && out[n] == content[n] {
				n++
			}
			require.Empty(t, bytes.Trim(out[n:], "\x00"), "byte %d", i)
		}
	}
	bad := bytes.Clone(file)
	bad[len(bad)/2] ^= 1
	_, err := opened(t, &Opener{Identities: []string{id}}, bad)
	require.ErrorIs(t, err, format.ErrDamaged)
}

// What the flags of a command that writes stand for; a passphrase that is asked for is typed twice.
func TestSealFlags(t *testing.T) {
	_, to := identity(t)
	file := put(t, "passphrase", []byte("of a file\n"))
	answers := func(all ...string) Question {
		return func(context.Context, string) (string, error) {
			next := all[0]
			all = all[1:]
			return next, nil
		}
	}
	for _, c := range []struct {
		args  string
		opens bool
		ask   Question
		said  string
		says  string
	}{
		{"", false, nil, "", ""},
		{"--encrypt-to " + to, false, nil, "", ""},
		{"--encrypt-to " + to + " --encrypt-to " + to, false, nil, "", ""},
		{"--passphrase-file " + file, false, nil, "of a file", ""},
		{"--passphrase-file -", false, nil, "of a pipe", ""},
		{"--passphrase-file " + file + " --encrypt-to " + to, true, nil, "of a file", ""},
		{"--passphrase", false, answers("new", "new"), "new", ""},
		{"--passphrase", false, answers("new", "mew"), "", "the two passphrases differ"},
		{"--passphrase", false, answers("", ""), "", "the passphrase is empty"},
		{"--passphrase", false, nil, "", "asks on a terminal, and there is none"},
		{"--passphrase --passphrase-file " + file, false, nil, "", "only one of --passphrase and --passphrase-file"},
		{"--passphrase --encrypt-to " + to, false, answers("new", "new"), "", "only one of --encrypt-to and --passphrase"},
		{"--passphrase-file " + file + " --encrypt-to " + to, false, nil, "", "for recipients or with a passphrase, not both"},
		{"--encrypt-to age1nobody", false, nil, "", `"age1nobody" is no age recipient`},
		{"--passphrase-file /no/such", false, nil, "", "--passphrase-file: "},
	} {
		s, f := SealFlags{Opens: c.opens}, pflag.NewFlagSet("", pflag.ContinueOnError)
		s.Register(f, "a file")
		require.NoError(t, f.Parse(strings.Fields(c.args)))
		sealer, said, err := s.Sealer(t.Context(), "a file", strings.NewReader("of a pipe\n"), c.ask)
		if c.says != "" {
			require.ErrorContains(t, err, c.says, c.args)
			continue
		}
		require.NoError(t, err, c.args)
		require.Equal(t, c.args != "", sealer.Seals(), c.args)
		require.Equal(t, c.said, said, c.args)
		var out bytes.Buffer
		require.NoError(t, sealer.Write(&out, func(w io.Writer) error { _, err := fmt.Fprint(w, "text"); return err }))
		require.Equal(t, c.args != "", out.String() != "text")
		require.Equal(t, said != "" && !c.opens, strings.HasPrefix(out.String(), withPassphrase), c.args)
	}
}

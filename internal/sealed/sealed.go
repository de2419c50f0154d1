// Package sealed encrypts files that hold weights and opens them again, in the format of age (age-encryption.org/v1): for recipients, whose
// identities open them, or with a passphrase. A file is encrypted as a whole, while it is written, and opened chunk by chunk of 64 KiB, while it
// is read: no part of it is on the disk in the clear, and none is in memory that its reader has not asked for. Each chunk is authenticated
// before it is handed out, and the last one before the first is, so that what was changed or cut off is refused. Verifiers do not link this package.
package sealed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
)

// withPassphrase begins every encrypted file that a passphrase opens.
const withPassphrase = format.IntroSealed + "-> scrypt "

// Is says whether a file that has a name is encrypted.
func Is(name string) bool {
	return atomicfile.Head(name, len(format.IntroSealed)) == format.IntroSealed
}

// ErrClosed marks that a file is encrypted and that nothing opens it.
var ErrClosed = errors.New("it is encrypted")

// Question asks a person for a passphrase. It shows what for.
type Question func(ctx context.Context, what string) (string, error)

// maxIdentities bounds a file of identities.
const maxIdentities = 1 << 20

// Opener opens encrypted files. The zero value opens files that are not.
type Opener struct {
	Identities []string          // files of age identities
	Passphrase string            // file of a passphrase, a line; "": none
	Stdin      io.Reader         // of a file called console.Stdin
	Ask        Question          // for a passphrase, where none was given; nil: there is nobody
	Warn       func(text string) // of what others may read; may be nil

	read  bool // the files of identities
	known []age.Identity
	said  *string // the passphrase, once it is known
}

// Say gives the passphrase; the empty one is none.
func (o *Opener) Say(passphrase string) {
	if passphrase != "" {
		o.said = &passphrase
	}
}

// Said is the passphrase, if one was read or asked for.
func (o *Opener) Said() (passphrase string, ok bool) {
	if o.said == nil {
		return "", false
	}
	return *o.said, true
}

// Open returns what is in a file of the given size, which is decrypted as it is read; a file that is not encrypted is returned as it is. what
// names the file to people.
func (o *Opener) Open(ctx context.Context, what string, file io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	head := make([]byte, min(size, int64(max(len(withPassphrase), len(armor.Header)))))
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return nil, 0, err
	}
	switch {
	case bytes.HasPrefix(head, []byte(armor.Header)):
		return nil, 0, errors.New("it is encrypted and written as text; encrypt it again without --armor")
	case !bytes.HasPrefix(head, []byte(format.IntroSealed)):
		if len(o.Identities) > 0 || o.Passphrase != "" {
			o.warn(what + " is not encrypted: neither identity nor passphrase is needed, and whoever can read the file has what is in it")
		}
		return file, size, nil
	}
	passphrase := bytes.HasPrefix(head, []byte(withPassphrase))
	by, err := o.identities(ctx, what, passphrase)
	if err != nil {
		return nil, 0, err
	}
	plain, n, err := age.DecryptReaderAt(file, size, by...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none) && passphrase:
		return nil, 0, fmt.Errorf("%w, and not with this passphrase", ErrClosed)
	case errors.As(err, &none):
		return nil, 0, fmt.Errorf("%w, and no identity in %s opens it", ErrClosed, strings.Join(o.Identities, ", "))
	case err != nil:
		return nil, 0, damaged(err)
	}
	return checked{plain}, n, nil
}

// identities are what may open a file.
func (o *Opener) identities(ctx context.Context, what string, passphrase bool) ([]age.Identity, error) {
	if !passphrase {
		if len(o.Identities) == 0 {
			return nil, fmt.Errorf("%w; --identity FILE names the file of an age identity that opens it", ErrClosed)
		}
		err := o.readIdentities()
		return o.known, err
	}
	if err := o.readPassphrase(ctx, what); err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(*o.said)
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(mostWork)
	return []age.Identity{id}, nil
}

// readIdentities reads the files once.
func (o *Opener) readIdentities() error {
	if o.read {
		return nil
	}
	var known []age.Identity
	for _, name := range o.Identities {
		o.exposed(name)
		data, err := console.ReadFile(name, o.Stdin, maxIdentities)
		if err != nil {
			return fmt.Errorf("--identity: %w", err)
		}
		ids, err := age.ParseIdentities(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("--identity %s: it holds no identities as age-keygen writes them", name) // the error may quote a secret
		}
		known = append(known, ids...)
	}
	o.known, o.read = known, true
	return nil
}

// readPassphrase reads the passphrase once, or asks for it.
func (o *Opener) readPassphrase(ctx context.Context, what string) (err error) {
	var said string
	switch {
	case o.said != nil:
		return nil
	case o.Passphrase != "":
		o.exposed(o.Passphrase)
		said, err = readPassphrase(o.Passphrase, o.Stdin)
	case o.Ask != nil:
		said, err = o.Ask(ctx, "Passphrase of "+what)
	default:
		return fmt.Errorf("%w with a passphrase; --passphrase-file FILE names a file that holds it", ErrClosed)
	}
	if err == nil {
		o.said = &said
	}
	return err
}

func (o *Opener) warn(text string) {
	if o.Warn != nil {
		o.Warn(text)
	}
}

// exposed warns where others than its owner may read a file with a secret. Windows has no such bits.
func (o *Opener) exposed(name string) {
	if name == console.Stdin || runtime.GOOS == "windows" {
		return
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		o.warn(fmt.Sprintf("others can read or change %s (mode %04o): chmod 600 keeps it to you", name, info.Mode().Perm()))
	}
}

// readPassphrase reads a passphrase from a file.
func readPassphrase(name string, stdin io.Reader) (string, error) {
	said, err := console.ReadText(name, stdin)
	switch {
	case err != nil:
	case said == "":
		err = fmt.Errorf("%s is empty", console.Shown(name, "input"))
	case strings.ContainsAny(said, "\r\n"):
		err = fmt.Errorf("%s has several lines; a passphrase is one", console.Shown(name, "input"))
	}
	if err != nil {
		return "", fmt.Errorf("--passphrase-file: %w", err)
	}
	return said, nil
}

// checked is what a file holds. Where that cannot be read the file is damaged.
type checked struct{ io.ReaderAt }

func (c checked) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(err)
	}
	return n, err
}

func damaged(err error) error {
	var p *os.PathError
	if errors.As(err, &p) { // the disk is, and says so
		return err
	}
	return fmt.Errorf("%w, or was changed or cut off: %w", format.ErrDamaged, err)
}

// work is the logarithm of the work that a passphrase takes, that of age's own program: about a second, and 256 MiB of memory, once.
var work = 18

// mostWork is what a file may ask of who opens it: age's own limit is 4 GiB of memory, which is not for whoever can write the file to spend.
const mostWork = 20

// Sealer encrypts. The zero value, like nil, leaves things as they are.
type Sealer struct{ to []age.Recipient }

// To returns what encrypts for recipients, or with a passphrase if there are none; nil without either.
func To(recipients []string, passphrase string) (*Sealer, error) {
	switch {
	case passphrase != "" && len(recipients) > 0:
		return nil, errors.New("a file is encrypted for recipients or with a passphrase, not both")
	case passphrase != "":
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, err
		}
		r.SetWorkFactor(work)
		return &Sealer{[]age.Recipient{r}}, nil
	case len(recipients) == 0:
		return nil, nil
	}
	s := &Sealer{}
	for _, r := range recipients {
		parsed, err := age.ParseRecipients(strings.NewReader(r))
		if err != nil || len(parsed) != 1 {
			return nil, fmt.Errorf("--encrypt-to: %q is no age recipient, as age-keygen prints them: age1…", r)
		}
		s.to = append(s.to, parsed...)
	}
	return s, nil
}

// Seals says whether anything is encrypted.
func (s *Sealer) Seals() bool { return s != nil && len(s.to) > 0 }

// Write has a file written by write, which is encrypted on its way to the writer.
func (s *Sealer) Write(to io.Writer, write func(io.Writer) error) error {
	if !s.Seals() {
		return write(to)
	}
	w, err := age.Encrypt(to, s.to...)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		return err
	}
	return w.Close()
}

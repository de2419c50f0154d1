package sealed

import (
	"context"
	"io"

	"github.com/spf13/pflag"

	"github.com/zkllmc/zkllmc/internal/console"
)

// OpenFlags are the flags of a command that reads files that may be encrypted.
type OpenFlags struct {
	identities []string
	passphrase string
}

// Register adds them. what names the files in the help.
func (o *OpenFlags) Register(f *pflag.FlagSet, what string) {
	o.RegisterIdentities(f, what)
	f.StringVar(&o.passphrase, "passphrase-file", "", "`FILE` of the passphrase that opens it, - for the standard input (default: it is asked for on the terminal)")
}

// RegisterIdentities adds the one for identities alone.
func (o *OpenFlags) RegisterIdentities(f *pflag.FlagSet, what string) {
	f.StringArrayVar(&o.identities, "identity", nil, "`FILE` of age identities, which open "+what+" where that is encrypted; may be given several times")
}

// Standard lists those that take the standard input; none of nil.
func (o *OpenFlags) Standard() (out []string) {
	if o == nil {
		return nil
	}
	for _, name := range o.identities {
		if name == console.Stdin {
			out = append(out, "--identity")
		}
	}
	if o.passphrase == console.Stdin {
		out = append(out, "--passphrase-file")
	}
	return out
}

// Files are the files that they name, by flags, but for the standard input.
func (o *OpenFlags) Files() (out [][2]string) {
	for _, name := range o.identities {
		out = append(out, [2]string{"--identity", name})
	}
	return append(out, [2]string{"--passphrase-file", o.passphrase})
}

// Opener is what they say. warn is told of what others may read.
func (o *OpenFlags) Opener(stdin io.Reader, ask Question, warn func(string)) *Opener {
	return &Opener{Identities: o.identities, Passphrase: o.passphrase, Stdin: stdin, Ask: ask, Warn: warn}
}

// SealFlags are the flags of a command that writes a file that may be encrypted.
type SealFlags struct {
	Opens bool // the passphrase of a file opens what the command reads, too; with recipients it does that alone

	recipients []string
	passphrase string
	ask        bool
}

// Asks says whether a new passphrase is asked for.
func (s *SealFlags) Asks() bool { return s.ask }

// Register adds them. what names the file in the help.
func (s *SealFlags) Register(f *pflag.FlagSet, what string) {
	f.StringArrayVar(&s.recipients, "encrypt-to", nil, "encrypt "+what+" for this age `RECIPIENT`, age1…, whose identity then opens it; may be given several times")
	f.BoolVar(&s.ask, "passphrase", false, "encrypt "+what+" with a passphrase, which is asked for on the terminal")
	f.StringVar(&s.passphrase, "passphrase-file", "", "encrypt "+what+" with the passphrase in `FILE`, - for the standard input")
}

// Standard lists those that take the standard input.
func (s *SealFlags) Standard() []string {
	if s.passphrase == console.Stdin {
		return []string{"--passphrase-file"}
	}
	return nil
}

// Sealer is what they say. A passphrase is asked for twice.
func (s *SealFlags) Sealer(ctx context.Context, what string, stdin io.Reader, ask Question) (*Sealer, string, error) {
	said, err := "", error(nil)
	switch {
	case s.ask && len(s.recipients) > 0:
		return nil, "", console.Usagef("give only one of --encrypt-to and --passphrase")
	case s.passphrase != "" && s.ask:
		return nil, "", console.Usagef("give only one of --passphrase and --passphrase-file")
	case s.passphrase != "":
		said, err = readPassphrase(s.passphrase, stdin)
	case s.ask && ask == nil:
		return nil, "", console.Usagef("--passphrase asks on a terminal, and there is none: --passphrase-file FILE names a file that holds it")
	case s.ask:
		return asked(ctx, what, ask)
	}
	if err != nil {
		return nil, "", console.Unusable(err)
	}
	with := said
	if s.Opens && len(s.recipients) > 0 {
		with = ""
	}
	sealer, err := To(s.recipients, with)
	if err != nil {
		return nil, "", console.Usagef("%w", err)
	}
	return sealer, said, nil
}

// asked is what encrypts with a new passphrase, which a person types twice: who mistypes it would lose the file.
func asked(ctx context.Context, what string, ask Question) (*Sealer, string, error) {
	said, err := ask(ctx, "New passphrase for "+what)
	if err != nil {
		return nil, "", err
	}
	again, err := ask(ctx, "The same again")
	switch {
	case err != nil:
		return nil, "", err
	case said == "":
		return nil, "", console.Usagef("the passphrase is empty")
	case again != said:
		return nil, "", console.Usagef("the two passphrases differ")
	}
	sealer, err := To(nil, said)
	return sealer, said, err
}

package verifier

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/console"
)

// printHelp prints what the arguments of help ask for: everything, or one command.
func (a *app) printHelp(about []string) error {
	switch {
	case len(about) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, about[0]):
		return a.printHelp([]string{"help"})
	case len(about) == 0:
		fmt.Fprint(a.stdout, a.help())
		return nil
	case len(about) > 1:
		return console.Usagef("help: unexpected argument %q", about[1])
	}
	text, ok := commandHelp[about[0]]
	if !ok {
		return console.Usagef("help: there is no command %q; there are accept, verify, version and help", about[0])
	}
	fmt.Fprint(a.stdout, text)
	return nil
}

// help is the whole help text.
func (a *app) help() string {
	return fmt.Sprintf("Checks proofs about the answers of the model %q:\n\n%s\n", a.m.Name, a.f.Lines()) +
		commandHelp["accept"] + "\n" + commandHelp["verify"] + "\n" + commandHelp["version"] + "\n" + commandHelp["help"] + helpEnd
}

// commandHelp is what is said of each command.
var commandHelp = map[string]string{
	"accept": `verifier accept [--save FILE [--force]] [--json] [--quiet] model.vk

    Verifies that every weight of the model lies in its declared range, once per model, and prints the model's ID, by which
    'verify' knows the key from then on. - in place of the file is the standard input.
    --save FILE     write the ID to a file, for --pin
    --force         replace that file
    --json          print a report
    --quiet         print the model's ID alone
`,
	"verify": `verifier verify --vk model.vk (--id HEX | --pin FILE) --statement FILE --proof FILE
                [--prompt TEXT | --prompt-file FILE | --messages FILE | --tokens IDS | --tokens-file FILE]
                [--answer TEXT | --answer-file FILE | --answer-tokens IDS | --answer-tokens-file FILE] [--vocab FILE]
                [--text TEXT | --text-file FILE] [--input NAME=FILE]… [--output NAME=FILE]…
                [--no-saturation] [--stats] [--json] [--quiet]

    Verifies that the model with this ID gives the answer of the statement. The ID must be one that 'accept' printed to
    you, or to somebody you trust to have run it: verify does not check the key's range proof again. Never take it from
    the proof or its sender. One file alone may be -, the standard input.
    --vk FILE            verifying key of the model
    --id HEX             the model's ID as 'accept' printed it, 64 hexadecimal digits
    --pin FILE           a file with the ID, as 'accept --save' writes it
    --statement FILE     prompt and answer, or inputs and outputs
    --proof FILE         the proof
    --prompt TEXT        what you asked: a proof about any other prompt is rejected
    --messages FILE      the conversation that you asked in, instead of a prompt, in JSON: [{"role": "user", "content": "…"}, …] with
                         the roles system (first, if at all), user and assistant in turn. A proof about any other is rejected
    --tokens IDS         what you asked, as token ids such as 1,2,3
    --answer TEXT        what you were told: a proof of any other answer is rejected, but for an end token behind it
    --answer-tokens IDS  what you were told, as token ids
    --prompt-file FILE, --tokens-file FILE, --answer-file FILE, --answer-tokens-file FILE
                         the same from a file, where no other user of the machine sees it
    --vocab FILE         vocabulary to read and show texts with, instead of the compiled one
    --text TEXT          of a model that reads a text whole: the text that it was given; a proof about any other is rejected
    --text-file FILE     the same from a file
    --input NAME=FILE    of a model that continues no prompt: the elements of an input, as JSON lists or as an ONNX
                         TensorProto; a proof of any others is rejected. Axes of extent 1 may be missing or more. Real numbers
                         are rounded first, as the prover rounds them: what is shown is what was proved
    --output NAME=FILE   the same of an output, or of the indices of its arg-max
    --no-saturation      reject a proof that does not show, too, that no value was clamped on the way ('prover prove
                         --no-saturation'), at any position, those behind a text included
    --stats              tell what the proof holds and the verifier does, counted
    --json               print a report
    --quiet              print nothing of a proof that is accepted: the exit code says it

    A proof is about token ids, and who proves chooses them: tokens that show nothing, or one text in other tokens, make
    the model answer otherwise. Give --prompt where you know what was asked. Without it, a text is shown in quotes only
    where the tokens are its usual ones; where not, each token is shown, quoted or as ⟨id⟩, with a warning.

` + filesHelp + `
`,
	"version": `verifier version

    Prints the version of zkllmc, its commit, the protocol version and the circuit, as --version does.
`,
	"help": `verifier help [COMMAND]

    Prints this, or what is said of one command, as 'verifier COMMAND --help' does.
`,
}

// filesHelp is what the files with texts hold.
const filesHelp = `    A file with a text holds at most 1 MiB. One line end behind the text is no part of it, all else is.`

const helpEnd = `
Example

    verifier accept --save model.id model.vk
    verifier verify --vk model.vk --pin model.id --statement statement.bin --proof proof.bin --prompt "…"

` + console.ExitCodes + `
GOMAXPROCS sets the number of threads.
`

// Package commands gives the command trees of compiler and prover what cobra leaves to chance: help that knows what it is asked about,
// lines of one width, --version.
package commands

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/console"
)

// usageTemplate prints the command line only of what does something: a root command alone is a mistake.
const usageTemplate = `Usage:{{if .HasParent}}
  {{.UseLine}}{{else}}
  {{.CommandPath}} COMMAND [flags]{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 118 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

'{{.CommandPath}} COMMAND --help' and '{{.CommandPath}} help COMMAND' tell more about a command.{{end}}
`

// Complete sets up a root command and all below it. version is what --version prints, quiet becomes true where no progress is to be shown.
func Complete(root *cobra.Command, version string, quiet *bool) {
	root.SetUsageTemplate(usageTemplate)
	root.Version = version
	root.SetVersionTemplate("{{.Version}}")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.Flags().Bool("version", false, "print what the version command prints")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return plain(err) })
	root.SetHelpCommand(help())
	root.InitDefaultHelpCmd()
	describe(root)
	for _, c := range root.Commands() {
		if c.Flags().Lookup("json") != nil || c.Flags().Lookup("force") != nil {
			c.Flags().BoolVar(quiet, "quiet", false, "show no progress")
		}
	}
}

// plain says of a flag whose value is no number what it takes, in place of what the function that parsed it says.
func plain(err error) error {
	var n *strconv.NumError
	if !errors.As(err, &n) {
		return err
	}
	flag, _, _ := strings.Cut(err.Error(), ": strconv.")
	what := "a whole number"
	switch {
	case errors.Is(err, strconv.ErrRange):
		what = "no number as large as that"
	case n.Func == "ParseFloat":
		what = "a number"
	case n.Func == "ParseBool":
		what = "true or false"
	}
	return fmt.Errorf("%s: it takes %s", flag, what)
}

// describe words the help flag of a command and of those below it.
func describe(c *cobra.Command) {
	c.InitDefaultHelpFlag()
	c.Flags().Lookup("help").Usage = "print this"
	for _, sub := range c.Commands() {
		describe(sub)
	}
}

// help is the help command. It fails where there is nothing to tell, so that a script does not take that for an answer.
func help() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		DisableFlagsInUseLine: true,
		Short:                 "Print help about the program or one of its commands",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("help: there is no command %q; there are %s", strings.Join(args, " "), names(c.Root()))
			}
			return about.Help()
		},
	}
}

// names lists the commands of a root.
func names(root *cobra.Command) string {
	var out []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			out = append(out, c.Name())
		}
	}
	return strings.Join(out, ", ")
}

// ErrNone is what a root command returns, after its usage was printed, where no command was given.
var ErrNone = errors.New("no command given")

// Memory reads the size of a flag --memory, 8GB or 12GiB say.
func Memory(text string) (bytes uint64, err error) {
	if bytes, err = humanize.ParseBytes(text); err != nil || bytes == 0 {
		return 0, console.Usagef("--memory %q is no size such as 8GB or 12GiB", text)
	}
	return bytes, nil
}

package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/zkllmc/zkllmc/internal/console"
)

func (a *app) completionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what a shell completes command lines of zkllmc with",
		Long: `completion prints a script for bash, zsh, fish or powershell. An archive of a release has them in its folder completions.
For bash, with the package bash-completion:

  zkllmc completion bash >~/.local/share/bash-completion/completions/zkllmc`,
		Example:   "  zkllmc completion zsh >~/.zsh/completions/_zkllmc",
		Args:      takes("a shell: bash, zsh, fish or powershell", 1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		root := c.Root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(a.out, true)
		case "zsh":
			return root.GenZshCompletion(a.out)
		case "fish":
			return root.GenFishCompletion(a.out, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(a.out)
		}
		return console.Usagef("completion: there is none for %q; there are bash, zsh, fish and powershell", args[0])
	}
	return c
}

// manualCommand writes the manual pages of archives. SOURCE_DATE_EPOCH is the time that they tell.
func (a *app) manualCommand() *cobra.Command {
	c := &cobra.Command{Use: "manual DIR", Short: "Write manual pages into a folder", Hidden: true, Args: takes("a folder", 1)}
	c.RunE = a.run(func(_ context.Context, args []string) error {
		root := c.Root()
		root.DisableAutoGenTag = true
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return console.Unusable(err)
		}
		return console.Unusable(doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: " ", Manual: "zkllmc"}, args[0]))
	})
	return c
}

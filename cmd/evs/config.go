package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
)

func configVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "the director's file: check it, show all it says, make it of other programs' files",
		Long: `The director's file, ` + config.DefaultFile + `, says which services there are, which servers they
have, how it is told whether a server is well, and what follows when it is not.
docs/evs.yaml.md explains it, and docs/evs.schema.json is its JSON Schema.

These commands read and write files; none looks at the table or changes it.`,
		Example: `  evs config check
  evs config show`,
	}
	cmd.AddCommand(configCheck(), configShow())
	return cmd
}

func configCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE...]",
		Short: "say all that is wrong with a file, each with its place and the remedy",
		Long: `Say all that is wrong with a file and those it includes, each with file, line,
column and the remedy. The exit code is 0 if nothing is wrong, 1 otherwise. Without
FILE it is ` + config.DefaultFile + `.`,
		Example: "  evs config check\n  evs config check new.yaml && mv new.yaml " + config.DefaultFile,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				files = []string{config.DefaultFile}
			}
			failed := false
			for _, name := range files {
				if _, err := loadConfig(cmd, name); err != nil {
					failed = true
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: nothing is wrong\n", name)
			}
			if failed {
				return exitStatus(1)
			}
			return nil
		},
	}
}

func configShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE]",
		Short: "print all that a file says: defaults, what is inherited and included, settings switched on",
		Long: `Print a file as one that says everything: defaults, what services and servers
inherit, what is included, and the settings that the director switches on, each
with the reason. What is printed is itself such a file.`,
		Example: "  evs config show\n  evs config show new.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadConfig(cmd, cmp.Or(first(args), config.DefaultFile))
			if err != nil {
				return err
			}
			text, err := config.Show(*d)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

// loadConfig reads a director's file, or says all that is wrong with it.
func loadConfig(cmd *cobra.Command, name string) (*config.Desired, error) {
	d, wrong := config.Load(name, config.Disk{})
	if len(wrong) == 0 {
		return d, nil
	}
	reportProblems(cmd, wrong)
	return nil, exitStatus(1)
}

func reportProblems(cmd *cobra.Command, wrong document.Problems) {
	for _, p := range wrong {
		fmt.Fprintln(cmd.ErrOrStderr(), p)
	}
}

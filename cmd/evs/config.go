package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/convert"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/ipvsadm"
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
  evs config show
  evs config convert /etc/keepalived/keepalived.conf >evs.yaml`,
	}
	cmd.AddCommand(configCheck(), configShow(), configConvert())
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
	rules := false
	cmd := &cobra.Command{
		Use:   "show [--rules] [FILE]",
		Short: "print all that a file says: defaults, what is inherited and included, settings switched on",
		Long: `Print a file as one that says everything: defaults, what services and servers
inherit, what is included, and the settings that the director switches on, each
with the reason. What is printed is itself such a file.`,
		Example: "  evs config show\n  evs config show --rules new.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadConfig(cmd, cmp.Or(first(args), config.DefaultFile))
			if err != nil {
				return err
			}
			if rules {
				fmt.Fprint(cmd.OutOrStdout(), config.Saved(d.Start()))
				return nil
			}
			text, err := config.Show(*d)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&rules, "rules", false, "print the table it begins with, before any check, as ipvsadm -Sn does")
	return cmd
}

func configConvert() *cobra.Command {
	from, strict, id := "auto", false, ""
	cmd := &cobra.Command{
		Use:   "convert [--from auto|" + strings.Join(convert.Languages, "|") + "] [--strict] FILE",
		Short: "make a director's file of keepalived.conf, ldirectord.cf or rules of ipvsadm",
		Long: `Print the director's file that does what a file of another program does:
keepalived.conf and what it includes, ldirectord.cf, or rules as ipvsadm -S writes
them. What has no counterpart is told on standard error, line by line, with the
reason. docs/from-keepalived.md says what becomes of what.

The exit code is 0 also if something has no counterpart; with --strict it is 1 then.`,
		Example: `  evs config convert /etc/keepalived/keepalived.conf >evs.yaml
  evs config convert --from ldirectord --strict /etc/ha.d/ldirectord.cf >evs.yaml
  ipvsadm -Sn >rules && evs config convert rules >evs.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := convert.Options{Files: config.Disk{}, Names: ipvsadm.SystemNames(cmd.Context()), ConfigID: cmp.Or(id, hostName())}
			result, err := convert.Convert(from, args[0], o)
			for _, n := range result.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), n)
			}
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(result.Text); err != nil {
				return err
			}
			if strict && len(result.Notes) > 0 {
				return exitStatus(1)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", from, "the language of FILE: auto, "+strings.Join(convert.Languages, ", "))
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 if anything has no counterpart")
	cmd.Flags().StringVar(&id, "config-id", "", "which lines of keepalived.conf that begin with @`ID` hold (default the host's name, as keepalived has it)")
	complete(cmd, "from", fixed(append([]string{"auto"}, convert.Languages...)...))
	return cmd
}

// hostName is the host's name as keepalived takes it: as far as the first dot.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return name
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

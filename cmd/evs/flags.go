package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// argument is a flag of a table of options: its text is kept for the table.
type argument struct {
	text string
	kind string
}

func (a *argument) String() string { return a.text }

func (a *argument) Set(s string) error {
	a.text = s
	return nil
}

func (a *argument) Type() string {
	if a.kind == "" {
		return "bool"
	}
	return a.kind
}

// addFlags gives a command the options of a table.
func addFlags[T any](cmd *cobra.Command, table []options.Option[T]) {
	for _, o := range table {
		f := cmd.Flags().VarPF(&argument{kind: o.Value}, o.Name, o.Short, o.About)
		if o.Value == "" {
			f.NoOptDefVal = "true"
		}
	}
}

// given are the flags on the command line, by name.
func given(cmd *cobra.Command) map[string]string {
	all := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) { all[f.Name] = f.Value.String() })
	return all
}

// serviceArgument reads the service that the flags name, and all of them.
func serviceArgument(cmd *cobra.Command) (ipvs.ServiceKey, map[string]string, error) {
	flags := given(cmd)
	key, err := options.Key(flags)
	return key, flags, err
}

// input is the file that a command is given, or standard input, and its name.
func input(cmd *cobra.Command, file string) (in io.ReadCloser, name string, err error) {
	if file == "" || file == "-" {
		return io.NopCloser(cmd.InOrStdin()), "standard input", nil
	}
	in, err = os.Open(file)
	return in, file, err
}

// first is the first argument, if there is one.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

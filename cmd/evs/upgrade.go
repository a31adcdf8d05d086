package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/ipvs"
)

func upgradeVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "upgrade",
		Short: "put this program's data path in the place of the one that runs, while packets flow",
		Long: `Upgrade loads the data path that this program has with it, and gives it to every
interface in the place of the one that serves the table of this network namespace, by
one step for each: no packet is lost and no connection ends. Services, connections,
counters and modes of attachment stay. evs status tells which data path runs, and
whether it is that of this program.

It may be interrupted: the table is whole at every moment, and the next command that
changes it puts away what was left.`,
		Example: "  evs status\n  evs upgrade",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				if err := t.Upgrade(); err != nil {
					return err
				}
				s, err := t.Status()
				if err != nil {
					return err
				}
				return printGenerations(cmd.OutOrStdout(), s)
			})
		},
	}
}

// printGenerations says which data path runs, and what to do where it is not this
// program's.
func printGenerations(w io.Writer, s ipvs.Status) error {
	fmt.Fprintf(w, "data path    %s", generationText(s.Running))
	if s.Running.Programs == s.Own.Programs {
		_, err := fmt.Fprintln(w, ", that of this evs")
		return err
	}
	_, err := fmt.Fprintf(w, "\n             this evs has %s: `evs upgrade` puts it in its place\n", generationText(s.Own))
	return err
}

func generationText(g ipvs.Generation) string {
	return fmt.Sprintf("%s (programs %s, layout %d)", g.Version, g.Programs, g.Layout)
}

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
counters and modes of attachment stay, also where the records of the two lie otherwise
in memory: they are carried over. evs status tells which data path runs, and whether it
is that of this program.

It may be interrupted: packets are served at every moment, and the next command that
changes the table puts away what was left, or brings to its end what had gone too far.`,
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

func resizeVerb() *cobra.Command {
	var conns int
	cmd := &cobra.Command{
		Use:   "resize --conns N",
		Short: "make the table of connections larger or smaller, while packets flow",
		Long: `Resize gives the table of this network namespace room for another number of
connections; it is to set conn_tab_size (evs sysctl). It makes the new table beside the old, carries the connections over, and
puts it in its place: no packet is lost and no connection ends. Meanwhile both take
memory. As by evs upgrade the data path is that of this program then.

The room is for --conns connections of IPv4 and as many of IPv6; it is rounded up, to a
power of two of slots. --conns 0 chooses by memory, as for a new table. A table that
would not hold the connections there are is refused. evs status shows the room there is
and what a connection takes.`,
		Example: "  evs resize --conns 2000000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				if err := t.Resize(conns); err != nil {
					return err
				}
				s, err := t.Status()
				if err != nil {
					return err
				}
				return printRoom(cmd.OutOrStdout(), s)
			})
		},
	}
	cmd.Flags().IntVar(&conns, "conns", 0, "room for `N` connections, 0: by memory")
	_ = cmd.MarkFlagRequired("conns") // it has just been defined
	return cmd
}

// printRoom says how much room the table has, and what it takes.
func printRoom(w io.Writer, s ipvs.Status) error {
	_, err := fmt.Fprintf(w, `connections  %d, room for %d of IPv4 and %d of IPv6 (table of %.1f MiB)
memory       %.0f bytes for each connection of IPv4 that there is room for, %.0f for one of IPv6
`, s.Conns, s.Capacity, s.Capacity6, float64(s.Bytes)/(1<<20), s.BytesEach, s.BytesEach6)
	return err
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

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

func connectionVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "connection",
		Aliases: []string{"connections", "conns"},
		Short:   "list connections, and end them",
		Example: `  evs connection list --destination 192.0.2.2
  evs connection flush --destination 192.0.2.2 --reset`,
	}
	cmd.AddCommand(connectionList(), connectionFlush())
	return cmd
}

func connectionList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list [SERVICE] [-d ADDRESS[:PORT]] [-c PREFIX] [--state STATES] [-o table|wide|json|yaml]",
		Short: "list the connections, a row for each",
		Long: `List the connections and the persistence templates, a row for each: all of them, or
those that agree with everything that is named. SERVICE is --tcp, --udp, --sctp
ADDRESS:PORT, or --fwmark MARK. docs/connections.md says what the columns mean.`,
		Example: `  evs connection list
  evs connection list --tcp 203.0.113.10:80 --client 198.51.100.0/24
  evs connection list --destination 192.0.2.2 --state established -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, _, err := options.ConnFilter(given(cmd))
			if err != nil {
				return err
			}
			return show(cmd, output, func(t *ipvs.Table, format listing.Format) error {
				return listing.WriteConns(cmd.OutOrStdout(), t.ConnsOf(filter), format)
			})
		},
	}
	addFilter(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// addFilter gives a command the options that say which connections are meant.
func addFilter(cmd *cobra.Command) {
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Connection)
	completeService(cmd)
	complete(cmd, "destination", proposeServers)
	complete(cmd, "client", cobra.NoFileCompletions)
	complete(cmd, "state", fixed(ipvs.States()...))
}

func connectionFlush() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "flush {SERVICE | -d ADDRESS[:PORT] | -c PREFIX | --state STATES | --all}… [--reset[=WHO]] [--templates]",
		Short: "end connections, with a TCP reset where that is wished",
		Long: `End the connections that agree with everything that is named, and say how many. SERVICE
is --tcp, --udp, --sctp ADDRESS:PORT, or --fwmark MARK; also a service or a real
server that was deleted may be named, as long as it has connections.

Without --reset nobody is told: what a client sends next belongs to no connection.
With --reset the client of a TCP connection gets a reset, also one that only waits;
with --reset=both so does the server. docs/connections.md says what happens on the
wire.

The exit code is 0 if all that was meant has ended, though it was nothing, and 1 if
nothing was done: an option makes no sense, or names a service or a real server that
is not there.`,
		Example: `  evs connection flush --destination 192.0.2.2 --reset
  evs connection flush --tcp 203.0.113.10:80 --client 198.51.100.0/24
  evs connection flush --all --templates`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, how, err := flushArguments(cmd, all)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				done, err := t.FlushConns(filter, how)
				if err != nil {
					return remedy(err)
				}
				printFlushed(cmd, done, how)
				return nil
			})
		},
	}
	addFilter(cmd)
	addFlags(cmd, options.Flush)
	cmd.Flags().Lookup("reset").NoOptDefVal = options.Resets()[0]
	cmd.Flags().BoolVar(&all, "all", false, "end every connection")
	complete(cmd, "reset", fixed(options.Resets()...))
	return cmd
}

// flushArguments reads which connections are to end, and how.
func flushArguments(cmd *cobra.Command, all bool) (f ipvs.ConnFilter, how ipvs.FlushOptions, err error) {
	flags := given(cmd)
	f, some, err := options.ConnFilter(flags)
	switch {
	case err != nil:
		return f, how, err
	case !some && !all:
		return f, how, errors.New("which connections? name a service, --destination, --client or --state; or --all for every one")
	case some && all:
		return f, how, errors.New("--all is every connection: leave it out, or what else names some")
	}
	return f, how, options.Apply(options.Flush, &how, flags)
}

func printFlushed(cmd *cobra.Command, done ipvs.Flushed, how ipvs.FlushOptions) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "connections ended: %d\n", done.Connections)
	if how.Reset != ipvs.ResetNobody {
		fmt.Fprintf(w, "  with a reset: %d\n", done.Reset)
		fmt.Fprintf(w, "  of these, clients that have not answered yet: %d\n", done.Unanswered)
	}
	if how.Templates {
		fmt.Fprintf(w, "templates ended: %d\n", done.Templates)
	}
}

package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/ipvs"
)

func listVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list [-o table|wide|json|yaml]",
		Short: "list virtual services with their real servers, or the connections",
		Long: `List virtual services with their real servers: a row for each server, or with -o
json or yaml one document of a stable form, described in docs/schema.md. wide adds
counters, rates per second and options.`,
		Example: `  evs list
  evs list -o wide
  evs list -o json | jq '.services[].destinations[] | {address, connections}'
  evs list connections`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listTable(cmd, output, listing.WriteTable, everything)
		},
	}
	outputFlag(cmd, &output)
	conns := connectionList()
	conns.Use = "connections" + strings.TrimPrefix(conns.Use, conns.Name())
	conns.Aliases = []string{"connection", "conns"}
	conns.Example = "  evs list connections\n  evs list connections -o json"
	cmd.AddCommand(conns)
	return cmd
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", string(listing.Columns), "table, wide, json or yaml")
	complete(cmd, "output", fixed(listing.Formats...))
}

func everything(t *ipvs.Table) ([]ipvs.ServiceInfo, error) { return t.Services() }

// listTable reads services and writes them.
func listTable(cmd *cobra.Command, output string, write func(io.Writer, listing.Table, listing.Format) error,
	read func(*ipvs.Table) ([]ipvs.ServiceInfo, error)) error {
	return show(cmd, output, func(t *ipvs.Table, format listing.Format) error {
		services, err := read(t)
		if err != nil {
			return err
		}
		return write(cmd.OutOrStdout(), listing.NewTable(services), format)
	})
}

// show runs write with the format called output.
func show(cmd *cobra.Command, output string, write func(*ipvs.Table, listing.Format) error) error {
	format, err := listing.ParseFormat(output)
	if err != nil {
		return err
	}
	return withTable(cmd.Context(), func(t *ipvs.Table) error { return write(t, format) })
}

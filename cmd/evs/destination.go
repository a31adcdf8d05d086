package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

func destinationVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "destination",
		Aliases: []string{"dest"},
		Short:   "add, edit, delete and list the real servers of a virtual service",
		Example: `  evs destination add --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --method masq
  evs destination list --tcp 203.0.113.10:80`,
	}
	cmd.AddCommand(destinationAdd(), destinationEdit(), destinationDelete(), destinationList())
	return cmd
}

func destinationAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add SERVICE --server ADDRESS[:PORT] [flags]",
		Short: "add a real server to a virtual service",
		Long:  "Add a real server to a virtual service. SERVICE is --tcp, --udp, --sctp ADDRESS:PORT, or --fwmark MARK.",
		Example: `  evs destination add --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --method masq
  evs destination add --tcp 203.0.113.10:80 --server 192.0.2.3 --weight 3
  evs destination add --udp 203.0.113.10:53 --server 192.0.2.4 --method tunnel --tunnel-type gue --tunnel-port 6080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, flags, err := serviceArgument(cmd)
			if err != nil {
				return err
			}
			d := options.NewDestination(key)
			if err := options.Apply(options.Destination, &d, flags); err != nil {
				return err
			}
			if err := options.CheckDestination(key, d); err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return remedy(t.AddDestination(key, d)) })
		},
	}
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Destination)
	completeDestination(cmd, false)
	return cmd
}

func destinationEdit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit SERVICE --server ADDRESS[:PORT] [flags]",
		Short: "change a real server; what no flag names stays, and so do its connections",
		Example: `  evs destination edit --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --weight 0
  evs destination edit --tcp 203.0.113.10:80 --server 192.0.2.2:8080 --upper 1000 --lower 800`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, addr, flags, err := serverArgument(cmd)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				d, err := findDestination(t, key, addr)
				if err != nil {
					return remedy(err)
				}
				if err := options.Apply(options.Destination[1:], &d, flags); err != nil {
					return err
				}
				if err := options.CheckDestination(key, d); err != nil {
					return err
				}
				return remedy(t.EditDestination(key, d))
			})
		},
	}
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Destination)
	completeDestination(cmd, true)
	return cmd
}

func destinationDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete SERVICE --server ADDRESS[:PORT]",
		Short:   "take a real server out of a virtual service",
		Example: "  evs destination delete --tcp 203.0.113.10:80 --server 192.0.2.2:8080",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, addr, _, err := serverArgument(cmd)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return remedy(t.DeleteDestination(key, addr.Addr)) })
		},
	}
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Destination[:1])
	completeDestination(cmd, true)
	return cmd
}

// serverArgument reads the service and the server that the flags name.
func serverArgument(cmd *cobra.Command) (ipvs.ServiceKey, ipvs.Destination, map[string]string, error) {
	key, flags, err := serviceArgument(cmd)
	if err != nil {
		return key, ipvs.Destination{}, nil, err
	}
	d := options.NewDestination(key)
	if err := options.Apply(options.Destination[:1], &d, flags); err != nil {
		return key, d, nil, err
	}
	return key, d, flags, options.CheckDestination(key, ipvs.Destination{Addr: d.Addr})
}

func findDestination(t *ipvs.Table, k ipvs.ServiceKey, like ipvs.Destination) (ipvs.Destination, error) {
	info, err := t.Service(k)
	if err != nil {
		return ipvs.Destination{}, err
	}
	i := slices.IndexFunc(info.Destinations, func(d ipvs.DestinationInfo) bool { return d.Addr == like.Addr })
	if i < 0 {
		return ipvs.Destination{}, fmt.Errorf("%s: %s: %w", k, like.Addr, ipvs.ErrNoDestination)
	}
	return info.Destinations[i].Destination, nil
}

func destinationList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list [SERVICE] [-o table|wide|json|yaml]",
		Short: "list real servers, a row for each",
		Long: `List real servers, a row for each, of all virtual services or of the one named by
--tcp, --udp, --sctp or --fwmark. docs/schema.md describes the fields of JSON and YAML.`,
		Example: "  evs destination list\n  evs destination list --tcp 203.0.113.10:80 -o wide",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(given(cmd)) == 0 || len(given(cmd)) == 1 && cmd.Flags().Changed("output") {
				return listTable(cmd, output, listing.WriteTable, everything)
			}
			key, _, err := serviceArgument(cmd)
			if err != nil {
				return err
			}
			return listTable(cmd, output, listing.WriteTable, func(t *ipvs.Table) ([]ipvs.ServiceInfo, error) {
				s, err := t.Service(key)
				return []ipvs.ServiceInfo{s}, remedy(err)
			})
		},
	}
	addFlags(cmd, options.Keys)
	outputFlag(cmd, &output)
	completeService(cmd)
	return cmd
}

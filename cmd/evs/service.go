package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

func serviceVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "add, edit, delete and list virtual services",
		Example: `  evs service add --tcp 203.0.113.10:80 --scheduler wrr
  evs service list`,
	}
	cmd.AddCommand(serviceAdd(), serviceEdit(), serviceDelete(), serviceList())
	return cmd
}

func serviceAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add (--tcp|--udp|--sctp ADDRESS:PORT | --fwmark MARK [-6]) [flags]",
		Short: "add a virtual service",
		Example: `  evs service add --tcp 203.0.113.10:80
  evs service add --udp [2001:db8::10]:53 --scheduler sh --sched-flags sh-port
  evs service add --tcp 203.0.113.10:443 --scheduler wlc --persistent 300s --netmask /24
  evs service add --fwmark 7 -6 --scheduler mh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, flags, err := serviceArgument(cmd)
			if err != nil {
				return err
			}
			s := ipvs.Service{ServiceKey: key, Scheduler: cmp.Or(flags["scheduler"], sched.Default)}.WithDefaults()
			if err := options.Apply(options.Service, &s, flags); err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				return remedy(t.AddService(s))
			})
		},
	}
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Service)
	completeService(cmd)
	return cmd
}

func serviceEdit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit (--tcp|--udp|--sctp ADDRESS:PORT | --fwmark MARK [-6]) [flags]",
		Short: "change a virtual service; what no flag names stays",
		Example: `  evs service edit --tcp 203.0.113.10:80 --scheduler wlc
  evs service edit --tcp 203.0.113.10:443 --persistent none
  evs service edit --udp 203.0.113.10:53 --ops=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, flags, err := serviceArgument(cmd)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				info, err := t.Service(key)
				if err != nil {
					return remedy(err)
				}
				if err := options.Apply(options.Service, &info.Service, flags); err != nil {
					return err
				}
				return remedy(t.EditService(info.Service))
			})
		},
	}
	addFlags(cmd, options.Keys)
	addFlags(cmd, options.Service)
	completeService(cmd)
	return cmd
}

func serviceDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete (--tcp|--udp|--sctp ADDRESS:PORT | --fwmark MARK [-6])",
		Short:   "delete a virtual service with its destinations",
		Example: "  evs service delete --tcp 203.0.113.10:80\n  evs service delete --fwmark 7 -6",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, _, err := serviceArgument(cmd)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return remedy(t.DeleteService(key)) })
		},
	}
	addFlags(cmd, options.Keys)
	completeService(cmd)
	return cmd
}

func serviceList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list [-o table|wide|json|yaml]",
		Short:   "list virtual services, a row for each",
		Long:    "List virtual services, a row for each. As JSON and YAML the destinations are there too;\ndocs/schema.md describes the fields.",
		Example: "  evs service list\n  evs service list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listTable(cmd, output, listing.WriteServices, everything)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// remedies say what to do about what a table refuses.
var remedies = []struct {
	err  error
	hint string
}{
	{ipvs.ErrServiceExists, "change it with `evs service edit`"},
	{ipvs.ErrNoService, "see `evs service list`; add it with `evs service add`"},
	{ipvs.ErrDestinationExists, "change it with `evs destination edit`"},
	{ipvs.ErrNoDestination, "see `evs destination list`; add it with `evs destination add`"},
	{ipvs.ErrMarkExists, "delete it first, or change several at once with `evs mark restore`"},
	{ipvs.ErrNoMark, "see `evs mark list`"},
}

// remedy adds to an error what to do about it.
func remedy(err error) error {
	for _, r := range remedies {
		if errors.Is(err, r.err) {
			return fmt.Errorf("%w: %s", err, r.hint)
		}
	}
	return err
}

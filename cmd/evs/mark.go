package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

func markVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mark",
		Short: "rules that give packets a firewall mark, for services named by one",
		Long: `Rules that give packets a firewall mark, by which they find a service that was
added with a mark instead of an address (` + "`ipvsadm -f`, `evs service add --fwmark`" + `). No
iptables rule has seen a packet when XDP gets it, so these stand in their place.

Of several rules that match a packet that with the longest destination prefix
decides, and among equals that which was added first. A packet that no rule
matches keeps the mark that an earlier tc program may have given it. The mark is
for choosing the service: the kernel does not see it. docs/marks.md says more.`,
		Example: `  evs mark add -d 203.0.113.0/24 -p tcp --dport 80,443,8000-8080 --set-mark 7
  evs service add --fwmark 7
  evs mark list`,
	}
	cmd.AddCommand(markAdd(), markDelete(), markList(), markSave(), markRestore(), markFlush(), markWhich())
	return cmd
}

func markAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add -d PREFIX [-s PREFIX] [-p NAME [--dport PORTS]] --set-mark MARK",
		Short: "add a rule, behind those with a destination prefix as long",
		Example: `  evs mark add -d 203.0.113.10 -p tcp --dport 80,443 --set-mark 7
  evs mark add -d 2001:db8::/64 -s 2001:db8:1::/64 --set-mark 0x10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rule, err := markArgument(cmd, options.Mark)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return remedy(t.AddMark(rule)) })
		},
	}
	addFlags(cmd, options.Mark)
	completeMark(cmd)
	return cmd
}

// markArgument reads the rule that the flags describe.
func markArgument(cmd *cobra.Command, table []options.Option[ipvs.MarkRule]) (r ipvs.MarkRule, err error) {
	flags := given(cmd)
	for _, need := range []string{"destination", "set-mark"} {
		if _, ok := flags[need]; !ok && cmd.Flags().Lookup(need) != nil {
			return r, fmt.Errorf("--%s is missing", need)
		}
	}
	return r, options.Apply(table, &r, flags)
}

func completeMark(cmd *cobra.Command) {
	complete(cmd, "protocol", fixed(options.ProtocolNames()...))
	for _, flag := range []string{"destination", "source", "dport"} {
		complete(cmd, flag, cobra.NoFileCompletions)
	}
}

func markDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete -d PREFIX [-s PREFIX] [-p NAME [--dport PORTS]]",
		Short:   "delete the rule that was added with these options, whatever its mark",
		Example: "  evs mark delete -d 203.0.113.10 -p tcp --dport 80,443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rule, err := markArgument(cmd, options.MarkMatch)
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return remedy(t.DeleteMark(rule)) })
		},
	}
	addFlags(cmd, options.MarkMatch)
	completeMark(cmd)
	return cmd
}

func markList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list [-o table|wide|json|yaml]",
		Short:   "list the rules in the order in which they are tried",
		Example: "  evs mark list\n  evs mark list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, output, func(t *ipvs.Table, format listing.Format) error {
				rules, err := t.Marks()
				if err != nil {
					return err
				}
				return listing.WriteMarks(cmd.OutOrStdout(), listing.NewMarks(rules), format)
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func markSave() *cobra.Command {
	return &cobra.Command{
		Use:     "save",
		Short:   "print the rules, on each line the options of one",
		Example: "  evs mark save >marks",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				rules, err := t.Marks()
				for _, r := range rules {
					fmt.Fprintln(cmd.OutOrStdout(), strings.Join(options.Print(options.Mark, r), " "))
				}
				return err
			})
		},
	}
}

func markRestore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore [FILE]",
		Short: "make the rules in a file all the rules there are, as one change",
		Long: `Make the rules in FILE, or on standard input, all the rules there are. To a packet it
is one change. Lines are as save prints them; blank lines and those that start with
# are left out. If any line is wrong, all that are wrong are reported, and nothing
changes.`,
		Example: "  evs mark restore marks\n  evs mark save | sed 's/--set-mark 7$/--set-mark 8/' | evs mark restore",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, name, err := input(cmd, first(args))
			if err != nil {
				return err
			}
			defer in.Close()
			rules, wrong := config.ReadMarks(in)
			if len(wrong) > 0 {
				return refuse(cmd.ErrOrStderr(), name, wrong)
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return t.SetMarks(rules) })
		},
	}
}

func markFlush() *cobra.Command {
	return &cobra.Command{
		Use:   "flush",
		Short: "delete every rule",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return t.SetMarks(nil) })
		},
	}
}

func markWhich() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "which -d ADDRESS -s ADDRESS [-p NAME [--dport PORT]]",
		Short:   "ask the data path which mark the rules give a packet; 0 is none",
		Example: "  evs mark which -s 198.51.100.7 -d 203.0.113.10 -p tcp --dport 443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rule, err := markArgument(cmd, options.MarkMatch)
			if err != nil {
				return err
			}
			packet, err := rule.Packet()
			if err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				mark, err := t.Mark(packet)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), mark)
				}
				return err
			})
		},
	}
	addFlags(cmd, options.MarkMatch)
	completeMark(cmd)
	return cmd
}

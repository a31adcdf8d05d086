package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// complete makes the shell propose the arguments of a flag.
func complete(cmd *cobra.Command, flag string, propose cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, propose); err != nil {
		panic(fmt.Sprintf("completion of --%s of %q: %v", flag, cmd.Name(), err)) // the flag is not there: a slip in the code
	}
}

func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completeService proposes the services there are, and schedulers, for those
// flags that the command has.
func completeService(cmd *cobra.Command) {
	for _, o := range options.Keys[:4] {
		complete(cmd, o.Name, proposeServices(o))
	}
	var schedulers []string
	for _, s := range sched.All {
		schedulers = append(schedulers, s.Name+"\t"+s.About)
	}
	for flag, propose := range map[string]cobra.CompletionFunc{
		"scheduler":   fixed(schedulers...),
		"sched-flags": proposeSchedFlags,
		"pe":          fixed(append(slices.Clone(ipvs.Engines), "none")...),
		"persistent":  fixed("300s", "none"),
		"netmask":     cobra.NoFileCompletions,
	} {
		if cmd.Flags().Lookup(flag) != nil {
			complete(cmd, flag, propose)
		}
	}
}

// completeDestination proposes also what a destination can be; existing ones
// where the command is about those.
func completeDestination(cmd *cobra.Command, existing bool) {
	completeService(cmd)
	servers := cobra.NoFileCompletions
	if existing {
		servers = proposeServers
	}
	complete(cmd, "server", servers)
	for flag, words := range map[string][]string{
		"method": options.Methods(), "tunnel-type": options.TunnelTypes(), "tunnel-checksum": options.Checksums(),
	} {
		if cmd.Flags().Lookup(flag) != nil {
			complete(cmd, flag, fixed(words...))
		}
	}
}

// proposeServices proposes the services that an option can name.
func proposeServices(o options.Option[ipvs.ServiceKey]) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var words []cobra.Completion
		err := withTable(cmd.Context(), func(t *ipvs.Table) error {
			services, err := t.Services()
			for _, s := range services {
				if word, ok := o.Show(s.ServiceKey); ok {
					words = append(words, fmt.Sprintf("%s\t%s, %d destinations", word, s.Scheduler, len(s.Destinations)))
				}
			}
			return err
		})
		return words, directive(err)
	}
}

// proposeServers proposes the destinations of the service named so far.
func proposeServers(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	key, _, err := serviceArgument(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []cobra.Completion
	err = withTable(cmd.Context(), func(t *ipvs.Table) error {
		s, err := t.Service(key)
		for _, d := range s.Destinations {
			words = append(words, fmt.Sprintf("%s\t%s, weight %d", d.Addr, options.Method(d.Method), d.Weight))
		}
		return err
	})
	return words, directive(err)
}

// proposeSchedFlags proposes the flags of the scheduler named so far.
func proposeSchedFlags(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all := ipvs.SchedFlag1 | ipvs.SchedFlag2 | ipvs.SchedFlag3
	return append(options.SchedFlags(ipvs.Service{Scheduler: given(cmd)["scheduler"], SchedFlags: all}), "none"), cobra.ShellCompDirectiveNoFileComp
}

func directive(err error) cobra.ShellCompDirective {
	if err != nil {
		return cobra.ShellCompDirectiveError
	}
	return cobra.ShellCompDirectiveNoFileComp
}

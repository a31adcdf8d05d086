package main

import (
	"github.com/spf13/cobra"
)

// verbs are the subcommands of evs, one constructor a row.
var verbs = []func() *cobra.Command{
	serviceVerb,
	destinationVerb,
	connectionVerb,
	listVerb,
	saveVerb,
	restoreVerb,
	markVerb,
	sysctlVerb,
	configVerb,
	planVerb,
	applyVerb,
	confirmVerb,
	reloadVerb,
	drainVerb,
	undrainVerb,
	weightsVerb,
	overrideVerb,
	attachVerb,
	detachVerb,
	statusVerb,
	upgradeVerb,
	resizeVerb,
	unloadVerb,
	directorVerb,
	realserverVerb,
	doctorVerb,
	simulateVerb,
	labVerb,
	manualVerb,
}

// version is set by the linker.
var version = "unknown"

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "evs",
		Short:         "eBPF Virtual Server: a layer-4 load balancer in the kernel",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	for _, verb := range verbs {
		cmd.AddCommand(verb())
	}
	return cmd
}

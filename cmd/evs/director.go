package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/hostnet"
)

func directorVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "director",
		Short: "prepare this host as a director",
	}
	cmd.AddCommand(directorSetup(), directorTeardown())
	return cmd
}

func directorSetup() *cobra.Command {
	var o hostnet.Options
	cmd := &cobra.Command{
		Use:   "setup [--dry-run] [INTERFACE...]",
		Short: "put the kernel settings in order for forwarding between the interfaces",
		Long: `Put the kernel settings in order for forwarding between the interfaces named, or
between all but loopback and those yet to come. What is changed is recorded, so
that teardown can restore it. Every change is printed as a command. (The kernel
also turns large receive offload off on network cards; if yours had it on, turn
it on again after teardown with ethtool -K INTERFACE lro on.)

The firewall is looked at, never changed: chains that drop packets are reported
with what they drop and the rule that would help.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Interfaces = args
			report, err := hostnet.Setup(cmd.Context(), o)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			printReport(out, report, "everything is in order already: nothing to change")
			findings, notes := hostnet.CheckFirewall(cmd.Context(), report.Interfaces)
			printFirewall(out, findings, notes)
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the commands and change nothing")
	return cmd
}

func directorTeardown() *cobra.Command {
	var o hostnet.Options
	cmd := &cobra.Command{
		Use:   "teardown [--dry-run]",
		Short: "restore the kernel settings that setup changed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := hostnet.Teardown(cmd.Context(), o)
			if err != nil {
				return err
			}
			printReport(cmd.OutOrStdout(), report, "")
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the commands and change nothing")
	return cmd
}

// printReport prints the changes as commands, and the rest as comments, so that
// the whole can be pasted into a shell.
func printReport(w io.Writer, r hostnet.Report, inOrder string) {
	for _, c := range r.Changes {
		fmt.Fprintln(w, c)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "# %s\n", note)
	}
	if len(r.Changes) == 0 && len(r.Notes) == 0 && inOrder != "" {
		fmt.Fprintf(w, "# %s\n", inOrder)
	}
}

func printFirewall(w io.Writer, findings []hostnet.Finding, notes []string) {
	for _, f := range findings {
		fmt.Fprintf(w, "# WARNING: %s %s.\n#   %s.\n#   If that is not what you want: %s\n", f.Chain, f.Problem, f.Effect, f.Remedy)
	}
	for _, note := range notes {
		fmt.Fprintf(w, "# %s\n", note)
	}
}

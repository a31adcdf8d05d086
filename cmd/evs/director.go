package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/daemon"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/hostnet"
)

func directorVerb() *cobra.Command {
	file, state := config.DefaultFile, daemon.StateFile
	cmd := &cobra.Command{
		Use:   "director [--config FILE] [--state FILE]",
		Short: "act on the director's file and keep acting: checks, weights, what fails; or prepare this host",
		Long: `Make the table what the director's file wants, ask its servers whether they are well,
and keep the table as both say, until SIGINT or SIGTERM. The table then stays as it is:
packets do not pass through this process, and it may be killed and started again at any
moment.

The file is read anew when it, or a file that it includes, changes, and on SIGHUP. One
that is wrong changes nothing. What others change of the table is put back, so servers
are taken out of use with evs drain or in the file. While changes of evs apply --confirm
wait to be confirmed, nothing is changed.

It logs to standard error, a line for each event. docs/director.md says more. To prepare
the host for forwarding, see evs director setup.`,
		Example: "  evs director\n  evs director --config new.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return direct(cmd, file, state) },
	}
	cmd.Flags().StringVar(&file, "config", file, "act on this `FILE`")
	cmd.Flags().StringVar(&state, "state", state, "keep drains and overrides in this `FILE`")
	cmd.AddCommand(directorSetup(), directorTeardown())
	return cmd
}

// direct is the daemon.
func direct(cmd *cobra.Command, file, state string) error {
	supervisor, err := daemon.SupervisorOf(os.Getenv)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	err = daemon.New(daemon.Options{
		Version: version, File: absolute(file), Log: daemon.NewLog(cmd.ErrOrStderr(), daemon.ToJournal(os.Stderr, os.Getenv("JOURNAL_STREAM"))),
		State: state, Hangups: hangups, Ledger: ledger, Dir: daemon.Dir, Supervisor: supervisor,
	}).Run(cmd.Context())
	var wrong document.Problems
	if errors.As(err, &wrong) {
		reportProblems(cmd, wrong)
		return exitStatus(1)
	}
	return err
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

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
)

// exitStatus ends evs with the code of a command that has said itself what is
// wrong.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// host is the system as the ipvsadm language sees it.
func host(ctx context.Context) ipvsadm.Host {
	return ipvsadm.Host{Open: openTable, Names: ipvsadm.SystemNames(ctx), UID: os.Geteuid()}
}

// runIpvsadm runs a command line of ipvsadm.
func runIpvsadm(cmd *cobra.Command, in io.Reader, args ...string) error {
	std := ipvsadm.Streams{In: in, Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
	if code := ipvsadm.Main(cmd.Context(), "ipvsadm", args, std, host(cmd.Context())); code != 0 {
		return exitStatus(code)
	}
	return nil
}

func saveVerb() *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:   "save [--names]",
		Short: "print the table as rules that restore reads, as ipvsadm -S -n does",
		Long: `Print the table as rules that restore reads, as ipvsadm -S -n does. As in ipvsadm,
thresholds, timeouts and daemons are no part of it.`,
		Example: "  evs save >rules",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			args := []string{"-S", "-n"}
			if names {
				args = args[:1]
			}
			return runIpvsadm(cmd, cmd.InOrStdin(), args...)
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "names of hosts and ports instead of numbers, as ipvsadm -S does")
	return cmd
}

func restoreVerb() *cobra.Command {
	var atomic, dryRun bool
	cmd := &cobra.Command{
		Use:   "restore [--atomic [--dry-run]] [FILE]",
		Short: "obey a file of rules, one after the other or as one change",
		Long: `Obey the rules in FILE, or on standard input: lines as ipvsadm -S writes them.

Without --atomic each rule is obeyed as it comes, added to what there is, as
ipvsadm -R does.

With --atomic the file says what the whole table shall be. Lines that start with #
and blank lines are left out, and the program's name may stand in front. If any
line is wrong, all that are wrong are reported, and nothing changes. Otherwise the
table becomes what the file wants as one change: services and servers that stay
keep their connections and counters, others come and go. Timeouts and daemons are
not touched. (ipvsadm -S writes no thresholds; servers without -x and -y have none.)`,
		Example: `  evs restore --atomic --dry-run rules
  evs restore --atomic rules
  evs restore <rules
  ipvsadm-save -n | evs restore --atomic`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dryRun && !atomic {
				return errors.New("--dry-run goes with --atomic: rules obeyed one by one have no plan")
			}
			in, name, err := input(cmd, first(args))
			if err != nil {
				return err
			}
			defer in.Close()
			if !atomic {
				return runIpvsadm(cmd, in, "-R")
			}
			return restoreAtomic(cmd, in, name, dryRun)
		},
	}
	cmd.Flags().BoolVar(&atomic, "atomic", false, "make the table what the file wants, as one change or not at all")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func restoreAtomic(cmd *cobra.Command, in io.Reader, name string, dryRun bool) error {
	rules, wrong := config.ReadRules(in, ipvsadm.SystemNames(cmd.Context()))
	return withTable(cmd.Context(), func(t *ipvs.Table) error {
		var err error
		switch {
		case len(wrong) > 0 || dryRun:
			err = t.Check(rules.Services)
		default:
			_, err = t.Set(rules.Services)
		}
		if wrong = append(wrong, rules.Locate(err)...); len(wrong) > 0 {
			return refuse(cmd.ErrOrStderr(), name, wrong)
		}
		if err != nil || !dryRun {
			return err
		}
		have, err := t.Services()
		for _, c := range ipvs.Plan(have, rules.Services) {
			fmt.Fprintln(cmd.OutOrStdout(), c)
		}
		return err
	})
}

// refuse reports every line that is wrong.
func refuse(w io.Writer, name string, wrong []*config.LineError) error {
	slices.SortStableFunc(wrong, func(a, b *config.LineError) int { return cmp.Compare(a.Line, b.Line) })
	for _, e := range wrong {
		fmt.Fprintf(w, "%s: %v\n", name, e)
	}
	lines := "lines are"
	if len(wrong) == 1 {
		lines = "line is"
	}
	return fmt.Errorf("%s: %d %s wrong; nothing was changed", name, len(wrong), lines)
}

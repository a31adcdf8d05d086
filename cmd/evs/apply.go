package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/daemon"
	"github.com/evs-project/evs/internal/director"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/ipvs"
)

var ledger = director.Ledger{Dir: director.RecordDir}

func planVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "plan [-o table|wide|json|yaml] [FILE]",
		Short: "say what evs apply would change, and change nothing",
		Long: `Say what would have to change for the table to be what the director's file wants, in
the order in which evs apply does it; without FILE, ` + config.DefaultFile + `. Each change comes with the
number of live connections of what it is about, and, where the scheduler hashes (sh,
dh, mh), with the share of clients that would be sent to another server by all changes
of the service together.

Weights are those of the file: what checks, drains and sources of weights make of
them is no part of it. docs/apply.md explains the columns, docs/schema.md the document
that -o json prints.`,
		Example: "  evs plan new.yaml\n  evs plan -o json | jq '[.changes[] | select(.op == \"remove\") | .connections] | add'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadConfig(cmd, cmp.Or(first(args), config.DefaultFile))
			if err != nil {
				return err
			}
			want := director.WantedBy(*d)
			sayPending(cmd.ErrOrStderr())
			return show(cmd, output, func(t *ipvs.Table, format listing.Format) error {
				if err := director.Check(t, want); err != nil {
					return err
				}
				have, err := director.Read(t)
				if err != nil {
					return err
				}
				plan := director.Plan(have, want)
				if len(plan) == 0 && (format == listing.Columns || format == listing.Wide) {
					fmt.Fprintln(cmd.OutOrStdout(), nothingToDo)
					return nil
				}
				return listing.WritePlan(cmd.OutOrStdout(), director.Document(plan), format)
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

const nothingToDo = "nothing to do: the table is as the file wants it"

func applyVerb() *cobra.Command {
	var within time.Duration
	var back bool
	cmd := &cobra.Command{
		Use:   "apply [--confirm TIME | --rollback] [FILE]",
		Short: "make the table what the director's file wants",
		Long: `Make the table what the director's file wants, and print what was changed; without
FILE, ` + config.DefaultFile + `. If anything is wrong with the file, or the table would refuse any of
it, all that is wrong is told and nothing is touched. Services and servers that stay
keep their connections and counters.

All services with their servers change as one, and so do settings, timeouts, rules of
marks, and modes of interfaces, one of these after the other; if one fails, those
before it are taken back.

With --confirm the changes are made on trial: unless evs confirm comes within that
time, from here or another terminal, they are taken back. evs apply waits for it, and
takes them back also if it is interrupted or its terminal goes away. Should it be
killed, the next evs plan, apply or confirm says so, and evs apply --rollback takes the
changes back. Until they are confirmed or taken back no others are made.

Where a director runs, it acts on its file by itself, and this is refused without
--confirm.`,
		Example: "  evs apply\n  evs apply --confirm 60s new.yaml\n  evs apply --rollback",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case back && (len(args) > 0 || within != 0):
				return errors.New("--rollback takes back what evs apply --confirm has changed: it goes with no file and no --confirm")
			case cmd.Flags().Changed("confirm") && within <= 0:
				return fmt.Errorf("--confirm %v: choose a time to wait, as 60s", within)
			case back:
				return rollBack(cmd)
			}
			name := cmp.Or(first(args), config.DefaultFile)
			d, err := loadConfig(cmd, name)
			if err != nil {
				return err
			}
			if within > 0 {
				return try(cmd, name, director.WantedBy(*d), within)
			}
			if err := alone(); err != nil {
				return err
			}
			return withTable(uninterrupted(cmd), func(t *ipvs.Table) error {
				done, err := ledger.Apply(t, director.WantedBy(*d))
				if err != nil {
					return refusal(err)
				}
				return printDone(cmd.OutOrStdout(), done)
			})
		},
	}
	cmd.Flags().DurationVar(&within, "confirm", 0, "take the changes back unless evs confirm comes within this `TIME`")
	cmd.Flags().BoolVar(&back, "rollback", false, "take back changes that wait to be confirmed")
	complete(cmd, "confirm", fixed("30s", "60s", "5m"))
	return cmd
}

func confirmVerb() *cobra.Command {
	var late bool
	cmd := &cobra.Command{
		Use:   "confirm [--late]",
		Short: "keep what evs apply --confirm has changed",
		Long: `Keep what evs apply --confirm has changed in this network namespace. It fails if
nothing waits to be confirmed, also because it has been taken back by now.`,
		Example: "  evs apply --confirm 60s new.yaml &\n  evs confirm",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := ledger.Confirm(late)
			if err != nil {
				return refusal(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "kept: the table is as %s wants it\n", p.File)
			if !p.Watched {
				fmt.Fprintf(cmd.ErrOrStderr(), "process %d, which was to take it back, is gone\n", p.PID)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&late, "late", false, "also after the time, if nobody was there to take the changes back")
	return cmd
}

// uninterrupted is a context in which what was begun is brought to an end.
func uninterrupted(cmd *cobra.Command) context.Context { return context.WithoutCancel(cmd.Context()) }

// try applies on trial.
func try(cmd *cobra.Command, file string, want director.Wanted, within time.Duration) error {
	// A terminal that is gone ends neither the process nor the way back.
	signal.Ignore(syscall.SIGPIPE)
	ctx := cmd.Context()
	if !signal.Ignored(syscall.SIGHUP) { // as it is by nohup
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	return withTable(uninterrupted(cmd), func(t *ipvs.Table) error {
		done, trial, err := ledger.Try(t, want, absolute(file), within)
		if err != nil {
			return refusal(err)
		}
		if trial == nil {
			return printDone(cmd.OutOrStdout(), done)
		}
		defer trial.Close()
		_ = printDone(cmd.OutOrStdout(), done) // nobody may be there to read it
		fmt.Fprintf(cmd.ErrOrStderr(), "on trial: `evs confirm` within %v keeps it, else it is taken back\n", within)
		return settle(ctx, cmd, t, trial)
	})
}

// alone says that there is no director, who would put back at once what is not as it
// wants it.
func alone() error {
	pid, file, err := daemon.Claimant(daemon.Dir)
	if pid != "" {
		err = fmt.Errorf("process %s is the director here and acts on %s, when it changes or by `evs reload`: change that file, or try another with --confirm", pid, file)
	}
	return err
}

// absolute is a file's name for those who work in other directories.
func absolute(file string) string {
	if path, err := filepath.Abs(file); err == nil {
		return path
	}
	return file
}

// settle waits until a trial is decided, and takes its changes back if it is not.
func settle(ctx context.Context, cmd *cobra.Command, t *ipvs.Table, trial *director.Trial) error {
	how, err := trial.Wait(ctx)
	why := fmt.Errorf("%w and nobody confirmed", director.ErrLate)
	if ctx.Err() != nil {
		why = errors.New("interrupted")
	}
	if how == director.Waiting && err == nil {
		_, err = ledger.RollBack(t)
		if errors.Is(err, director.ErrNothingPending) { // it was decided in this moment
			how, err = trial.Outcome()
		} else if err == nil {
			return fmt.Errorf("%w: everything is as it was before", why)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("taking the changes back: %w: `evs apply --rollback` tries again", err)
	case how == director.RolledBack:
		return errors.New("someone has taken it back: everything is as it was before")
	}
	fmt.Fprintln(cmd.ErrOrStderr(), how)
	return nil
}

func rollBack(cmd *cobra.Command) error {
	return withTable(uninterrupted(cmd), func(t *ipvs.Table) error {
		done, err := ledger.RollBack(t)
		if err != nil {
			return err
		}
		if len(done) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "nothing to take back: the table is as it was before")
			return nil
		}
		return listing.WritePlan(cmd.OutOrStdout(), director.Document(done), listing.Columns)
	})
}

func printDone(w io.Writer, done []director.Change) error {
	if len(done) == 0 {
		_, err := fmt.Fprintln(w, nothingToDo)
		return err
	}
	return listing.WritePlan(w, director.Document(done), listing.Columns)
}

// refusal adds the remedy to why nothing was done.
func refusal(err error) error {
	switch {
	case errors.Is(err, director.ErrPending):
		if p, e := ledger.Pending(); e == nil {
			return fmt.Errorf("%w: %s", err, pendingText(p))
		}
	case errors.Is(err, director.ErrLate):
		return fmt.Errorf("%w, and the process that was to take the changes back is gone: `evs apply --rollback` takes them back, `evs confirm --late` keeps them", err)
	}
	return err
}

// sayPending tells of changes that wait to be confirmed.
func sayPending(w io.Writer) {
	switch p, err := ledger.Pending(); {
	case err == nil:
		fmt.Fprintf(w, "%v: %s\n", director.ErrPending, pendingText(p))
	case !errors.Is(err, director.ErrNothingPending):
		fmt.Fprintln(w, err)
	}
}

func pendingText(p director.Pending) string {
	const remedy = "`evs confirm` keeps them, `evs apply --rollback` takes them back"
	if p.Watched {
		return fmt.Sprintf("those of %s, which process %d takes back at %s; %s", p.File, p.PID, p.Until.Format(time.TimeOnly), remedy)
	}
	return fmt.Sprintf("those of %s, made at %s; process %d, which was to take them back at %s, is gone; %s",
		p.File, p.Since.Format(time.DateTime), p.PID, p.Until.Format(time.TimeOnly), remedy)
}

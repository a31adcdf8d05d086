package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/api"
	"github.com/evs-project/evs/internal/drain"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// The exit codes of evs drain, beside 0 and 1.
const (
	exitLeft  exitStatus = 2
	exitReset exitStatus = 3
	exitEnded exitStatus = 4
)

func drainVerb() *cobra.Command {
	var r api.DrainRequest
	var within time.Duration
	var noWait bool
	var output string
	cmd := &cobra.Command{
		Use:   "drain [ADDRESS[:PORT] [SERVICE] [--for TIME] [--at-deadline WHAT] [--persistence HOW] [--no-wait]]",
		Short: "take a server out of use while clients still have connections, and wait for them",
		Long: `Drain a real server: no new connections go to it, and those it has may end by
themselves until the deadline. Without a port all ports of the server are meant, without
SERVICE (--tcp, --udp, --sctp ADDRESS:PORT, or --fwmark MARK) all services. It waits and
shows how many connections are left. The server stays without new connections until evs
undrain. What is not said is as drain of the director's file has it for the server,
without a director 5m, leave, respect.

With a director the drain is the director's: it outlives this command and a restart.
Without one the command does all itself, in the table of this network namespace.

Without a server it lists the director's drains.

The exit code is
0 if no connection was left before the deadline (with --no-wait: if it has begun),
1 if nothing was done,
2 if connections were left at the deadline, and go on,
3 if connections were left at the deadline, and have been reset or scheduled anew,
4 if it was interrupted, or somebody ended the drain.`,
		Example: `  evs drain 192.0.2.2 --for 10m && ssh 192.0.2.2 reboot
  evs drain 192.0.2.2:8080 --tcp 203.0.113.10:80 --at-deadline reset
  evs drain -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 0 {
				return listDrains(cmd, output)
			}
			if r.Scope, err = scopeArgument(cmd, args[0]); err != nil {
				return err
			}
			if cmd.Flags().Changed("for") {
				if within < 0 {
					return fmt.Errorf("--for %v: choose 0s at least", within)
				}
				r.For = (*api.Duration)(&within)
			}
			return startDrain(cmd, r, noWait)
		},
	}
	addFlags(cmd, options.Keys)
	cmd.Flags().DurationVar(&within, "for", 0, "how long connections may take to end, as a `TIME`: 10m")
	cmd.Flags().StringVar(&r.AtDeadline, "at-deadline", "", "`WHAT` becomes of those left: leave, or reset, which tells both ends of TCP and schedules UDP anew")
	cmd.Flags().StringVar(&r.Persistence, "persistence", "", "what of clients that are kept to the server, `HOW`: respect lets them open connections still, ignore does not")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the connections to end")
	socketFlag(cmd)
	outputFlag(cmd, &output)
	completeScope(cmd)
	complete(cmd, "for", fixed("1m", "5m", "10m", "1h"))
	complete(cmd, "at-deadline", fixed(keep.Leave, keep.Reset))
	complete(cmd, "persistence", fixed(keep.Respect, keep.Ignore))
	return cmd
}

// startDrain begins a drain with the director, or without one.
func startDrain(cmd *cobra.Command, r api.DrainRequest, noWait bool) error {
	if err := r.Check(); err != nil {
		return err
	}
	c, _, err := running(cmd)
	if errors.Is(err, api.ErrNoDirector) {
		return drainByHand(cmd, r, noWait)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	d, err := c.Drain(cmd.Context(), r)
	if err != nil {
		return err
	}
	if noWait {
		fmt.Fprintf(cmd.OutOrStdout(), "draining %s until %s\n", d.Scope, d.Deadline.Local().Format(time.DateTime))
		return nil
	}
	return follow(cmd, followed(cmd.Context(), c, d))
}

// patience is for how long a director that is restarted may say nothing.
const patience = time.Minute

// followed looks at a drain of the director.
func followed(ctx context.Context, c *api.Client, d keep.Drain) func() (keep.Drain, error) {
	heard := time.Now()
	return func() (keep.Drain, error) {
		next, err := c.GetDrain(ctx, d.ID)
		var p *api.Problem
		switch {
		case errors.As(err, &p) && p.Status == http.StatusNotFound, err == nil && !next.Since.Equal(d.Since):
			return d, drain.ErrEnded
		case ctx.Err() != nil:
			return d, ctx.Err()
		case err != nil && time.Since(heard) < patience:
			return d, nil
		case err == nil:
			d, heard = next, time.Now()
		}
		return d, err
	}
}

// drainByHand does what a director would.
func drainByHand(cmd *cobra.Command, r api.DrainRequest, noWait bool) error {
	if err := nobodyElse(cmd); err != nil {
		return err
	}
	terms := r.Over(api.StandardDrain())
	if noWait && terms.AtDeadline == keep.Reset {
		return errors.New("--no-wait: no director runs that could reset what is left at the deadline: leave it out, or --at-deadline reset")
	}
	return withTable(uninterrupted(cmd), func(t *ipvs.Table) error {
		done, err := drain.Rest(t, r.Scope)
		if err != nil {
			return remedy(err)
		}
		for _, e := range done {
			fmt.Fprintln(cmd.OutOrStdout(), e)
		}
		if noWait {
			return nil
		}
		return follow(cmd, drain.ByHand(t, drain.New(r.Scope, terms, time.Now())))
	})
}

// follow waits for a drain, and ends with its exit code.
func follow(cmd *cobra.Command, look func() (keep.Drain, error)) error {
	w := cmd.OutOrStdout()
	after, begin, end := 10*time.Second, "", "\n"
	if terminal(w) { // where one line can be written over and over
		after, begin, end = time.Second, "\r\x1b[K", ""
	}
	told := false
	d, err := drain.Follow(cmd.Context(), look, after, func(d keep.Drain) {
		told = true
		fmt.Fprintf(w, "%s%s; %v left%s", begin, progress(d.Progress), ago(max(0, time.Until(d.Deadline))), end)
	})
	if told && end == "" {
		fmt.Fprintln(w)
	}
	return outcome(cmd, d, err)
}

// terminal reports whether a person reads what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// outcome says how a drain ended, and makes an exit code of it.
func outcome(cmd *cobra.Command, d keep.Drain, err error) error {
	w := cmd.OutOrStdout()
	switch {
	case errors.Is(err, drain.ErrEnded):
		fmt.Fprintln(cmd.ErrOrStderr(), err)
		return exitEnded
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(cmd.ErrOrStderr(), "interrupted: %s gets no new connections; `evs undrain %s` gives it back its weight\n", d.Scope, d.Server)
		return exitEnded
	case err != nil:
		return err
	}
	switch d.Phase {
	case keep.Late:
		fmt.Fprintf(w, "the time is over: %s, which go on\n", progress(d.Progress))
		return exitLeft
	case keep.Ended:
		fmt.Fprintf(w, "the time is over: reset %s, and ended %s without a word\n", count(d.Progress.Reset, "connection"), count(d.Progress.Anew, "other"))
		return exitReset
	}
	fmt.Fprintf(w, "no connections after %v\n", ago(d.PhaseSince.Sub(d.Since)))
	return nil
}

// progress says what is left.
func progress(p keep.Progress) string {
	text := count(p.Connections, "connection")
	if p.Oldest > 0 {
		text += fmt.Sprintf(", the oldest of %v at least", seconds(p.Oldest))
	}
	if p.Longest > 0 {
		text += fmt.Sprintf(", the last expires in %v if nothing comes", seconds(p.Longest))
	}
	if p.Templates > 0 {
		text += fmt.Sprintf("; kept to it: %s", count(p.Templates, "client"))
	}
	return text
}

// count is so many of a noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func seconds(s float64) time.Duration { return ago(time.Duration(s * float64(time.Second))) }

var drainColumns = []listing.Column[keep.Drain]{
	{Title: "SERVER", Cell: func(d keep.Drain) any { return d.Server }},
	{Title: "SERVICE", Cell: func(d keep.Drain) any { return serviceOr(d.Scope, "all") }},
	{Title: "BY", Cell: func(d keep.Drain) any { return d.Origin }},
	{Title: "PHASE", Cell: func(d keep.Drain) any { return d.Phase }},
	{Title: "CONNECTIONS", Cell: func(d keep.Drain) any { return d.Progress.Connections }},
	{Title: "KEPT", Wide: true, Cell: func(d keep.Drain) any { return d.Progress.Templates }},
	{Title: "OLDEST AT LEAST", Cell: func(d keep.Drain) any {
		if d.Progress.Oldest == 0 {
			return "-"
		}
		return seconds(d.Progress.Oldest)
	}},
	{Title: "SINCE", Cell: func(d keep.Drain) any { return d.Since.Local().Format(time.DateTime) }},
	{Title: "DEADLINE", Cell: func(d keep.Drain) any { return d.Deadline.Local().Format(time.DateTime) }},
	{Title: "AT DEADLINE", Wide: true, Cell: func(d keep.Drain) any { return d.AtDeadline }},
	{Title: "PERSISTENCE", Wide: true, Cell: func(d keep.Drain) any { return d.Persistence }},
	{Title: "ID", Wide: true, Cell: func(d keep.Drain) any { return d.ID }},
}

func listDrains(cmd *cobra.Command, output string) error {
	return showAnswer(cmd, output, drainColumns, (*api.Client).Drains, func(d api.Drains) []keep.Drain { return d.Drains })
}

// scopeArgument reads which servers are meant.
func scopeArgument(cmd *cobra.Command, server string) (s keep.Scope, err error) {
	if err := s.Server.UnmarshalText([]byte(server)); err != nil {
		return s, err
	}
	for _, o := range options.Keys {
		if cmd.Flags().Changed(o.Name) {
			s.Service.ServiceKey, _, err = serviceArgument(cmd)
		}
	}
	return s, err
}

// completeScope proposes services, and servers as the argument.
func completeScope(cmd *cobra.Command) {
	completeService(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		scope, err := scopeArgument(cmd, "0.0.0.0")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []cobra.Completion
		err = withTable(cmd.Context(), func(t *ipvs.Table) error {
			services, err := t.Services()
			for _, s := range services {
				for _, d := range s.Destinations {
					if scope.Service.IsZero() || scope.Service.ServiceKey == s.ServiceKey {
						words = append(words, fmt.Sprintf("%s\tof %s, weight %d", d.Addr, s.ServiceKey, d.Weight))
					}
				}
			}
			return err
		})
		return words, directive(err)
	}
}

func undrainVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain ADDRESS[:PORT] [SERVICE]",
		Short: "end a drain: a server gets back its weight",
		Long: `End the drains of a real server, those of all its ports if none is named and those of all
services without SERVICE. With a director, its drains end, and it gives the server the
weight that is right now. Without one, destinations with weight 0 get the weight that
they had before, which the table remembers.

The exit code is 0 if new connections go to the server again, 1 otherwise.`,
		Example: "  evs undrain 192.0.2.2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			scope, err := scopeArgument(cmd, args[0])
			if err != nil {
				return err
			}
			c, _, err := running(cmd)
			if errors.Is(err, api.ErrNoDirector) {
				return undrainByHand(cmd, scope)
			}
			if err != nil {
				return err
			}
			defer c.Close()
			return undrain(cmd, c, scope)
		},
	}
	addFlags(cmd, options.Keys)
	socketFlag(cmd)
	completeScope(cmd)
	return cmd
}

func undrainByHand(cmd *cobra.Command, scope keep.Scope) error {
	if err := nobodyElse(cmd); err != nil {
		return err
	}
	return withTable(uninterrupted(cmd), func(t *ipvs.Table) error {
		done, err := drain.Work(t, scope)
		if errors.Is(err, drain.ErrNever) {
			return fmt.Errorf("%w: `evs destination edit --weight` gives it one", err)
		}
		if err != nil {
			return remedy(err)
		}
		for _, e := range done {
			fmt.Fprintln(cmd.OutOrStdout(), e)
		}
		if len(done) == 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s is not drained: it has its weight\n", scope)
		}
		return nil
	})
}

// undrain ends those drains that mean nothing else than the scope.
func undrain(cmd *cobra.Command, c *api.Client, scope keep.Scope) error {
	all, err := c.Drains(cmd.Context())
	if err != nil {
		return err
	}
	ended, wider := 0, ""
	for _, d := range all.Drains {
		switch {
		case d.Within(scope) && d.Origin == keep.ByFile:
			err = cmp.Or(err, fmt.Errorf("%s: %w", d.Scope, keep.ErrFromFile))
		case d.Within(scope):
			if err := c.Undrain(cmd.Context(), d.ID); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is not drained any more\n", d.Scope)
			ended++
		case scope.Within(d.Scope):
			wider = d.String()
		}
	}
	switch {
	case err != nil || ended > 0 && wider == "":
		return err
	case wider != "":
		return fmt.Errorf("%s is drained with others, by the drain of %s: end that", scope, wider)
	}
	return fmt.Errorf("no drain of %s: `evs drain` lists those there are", scope)
}

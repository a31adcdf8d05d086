package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/api"
	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/daemon"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/listing"
)

// askTime is how long a director has to say who it is.
const askTime = 10 * time.Second

// socketFlag gives a command the option that says where the director listens.
func socketFlag(cmd *cobra.Command) {
	var standard config.API
	document.Defaults(&standard)
	cmd.Flags().String("socket", standard.Socket, "the director's `SOCKET`, as api.socket of its file")
}

// running is a client of the director of this network namespace. Sockets belong to no
// namespace, so it is asked which one it serves. If there is none, the error wraps
// api.ErrNoDirector.
func running(cmd *cobra.Command) (*api.Client, api.Status, error) {
	socket := cmd.Flag("socket")
	c := api.Dial(socket.Value.String())
	ctx, cancel := context.WithTimeout(cmd.Context(), askTime)
	defer cancel()
	s, err := c.Status(ctx)
	if err != nil {
		return nil, s, err
	}
	here, err := hostnet.Cookie()
	if err != nil {
		return nil, s, err
	}
	if s.Namespace != strconv.FormatUint(here, 16) {
		err = fmt.Errorf("%w in this network namespace: that at %s serves another", api.ErrNoDirector, socket.Value)
		if socket.Changed {
			err = fmt.Errorf("the director at %s serves another network namespace: name the socket of this one's", socket.Value)
		}
		return nil, s, err
	}
	return c, s, nil
}

// nobodyElse fails if this namespace has a director after all, which would undo what is
// done by hand.
func nobodyElse(cmd *cobra.Command) error {
	pid, _, err := daemon.Claimant(daemon.Dir)
	if err != nil || pid == "" {
		return err
	}
	return fmt.Errorf("process %s is the director of this network namespace, but does not listen at %s: --socket names the socket that its file has as api.socket", pid, cmd.Flag("socket").Value)
}

// withDirector runs do with the director of this namespace; there has to be one.
func withDirector(cmd *cobra.Command, do func(*api.Client) error) error {
	c, _, err := running(cmd)
	if errors.Is(err, api.ErrNoDirector) {
		return fmt.Errorf("%w: `evs director` is one; --socket names its socket, if its file has another than the usual one", err)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// showAnswer asks the director for a document, and writes it as the format called output
// has it: whole, or a row for each of its list.
func showAnswer[D, R any](cmd *cobra.Command, output string, table []listing.Column[R],
	ask func(*api.Client, context.Context) (D, error), list func(D) []R) error {
	format, err := listing.ParseFormat(output)
	if err != nil {
		return err
	}
	return withDirector(cmd, func(c *api.Client) error {
		doc, err := ask(c, cmd.Context())
		if err != nil {
			return err
		}
		return listing.WriteRows(cmd.OutOrStdout(), doc, format, table, list(doc))
	})
}

// printDirector shows how the director fares, if one runs here, and what it is about.
func printDirector(cmd *cobra.Command) error {
	c, s, err := running(cmd)
	w := cmd.OutOrStdout()
	if errors.Is(err, api.ErrNoDirector) {
		return nil
	}
	if err != nil {
		fmt.Fprintf(w, "\ndirector     %v\n", err) // the rest can be told without it
		return nil
	}
	defer c.Close()
	services, err := c.Services(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\ndirector     %s, process %d, up for %v\n", s.Version, s.PID, ago(time.Duration(s.Uptime*float64(time.Second))))
	printReload(w, s)
	printServices(w, services.Services)
	return printFaults(w, s.Faults)
}

func printReload(w io.Writer, s api.Status) {
	fmt.Fprintf(w, "file         %s, read %v ago\n", s.File, ago(time.Since(s.Reload.Good)))
	if s.Reload.Error != "" {
		fmt.Fprintf(w, "reload       failed %v ago, what was there before is in force: %s\n", ago(time.Since(s.Reload.Tried)), s.Reload.Error)
	}
	fmt.Fprintf(w, "checks       %d, of which %d run now; %d of %d began late, the worst by %.3f s\n",
		s.Checks.Tasks, s.Checks.Active, s.Checks.Late, s.Checks.Started, s.Checks.Worst)
}

// printServices counts who is up.
func printServices(w io.Writer, services []api.Service) {
	var up, servers, serversUp, drained, overridden int
	for _, s := range services {
		if s.Up {
			up++
		}
		for _, d := range s.Destinations {
			servers++
			if d.State == "up" {
				serversUp++
			}
			if d.Drain != nil {
				drained++
			}
			if d.Override != nil {
				overridden++
			}
		}
	}
	fmt.Fprintf(w, "up           %d of %d services, %d of %d servers; %d drained, %d overridden\n", up, len(services), serversUp, servers, drained, overridden)
	for _, s := range services {
		if !s.Up {
			fmt.Fprintf(w, "down         %s: weight %d is up, it needs %d\n", s.Name, s.Weight, s.Quorum)
		}
	}
}

func printFaults(w io.Writer, faults []api.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FAULT\tFOR\tTIMES\tAGAIN IN\tERROR")
	for _, f := range faults {
		again := "-"
		if !f.Next.IsZero() {
			again = ago(max(0, time.Until(f.Next))).String()
		}
		fmt.Fprintf(tw, "%s\t%v\t%d\t%s\t%s\n", f.What, ago(time.Since(f.Since)), f.Count, again, f.Error)
	}
	return tw.Flush()
}

// ago is a length of time for people.
func ago(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

func reloadVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [--socket SOCKET]",
		Short: "have the director read its file anew, and say what is wrong with it",
		Long: `Have the director of this network namespace read its file anew and act on it, as on
SIGHUP. If anything is wrong with it, all that is wrong is told, nothing changes, and
the exit code is 1.`,
		Example: "  evs config check && evs reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDirector(cmd, func(c *api.Client) error {
				if _, err := c.Reload(cmd.Context()); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "read anew, and in force")
				return nil
			})
		},
	}
	socketFlag(cmd)
	return cmd
}

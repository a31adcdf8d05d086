package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/ipvs"
)

// withTable runs do on this namespace's table.
func withTable(ctx context.Context, do func(*ipvs.Table) error) error {
	t, err := ipvs.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(t), t.Close())
}

func attachVerb() *cobra.Command {
	mode := string(ipvs.AttachAuto)
	cmd := &cobra.Command{
		Use:   "attach [--mode auto|xdp|tc] [IFACE…]",
		Short: "attach the data path to interfaces, and say by which door",
		Long: `Attach sets how the data path is attached to the named interfaces, or without
names to every interface of this network namespace, also to those that appear
later. It makes the table where there is none, so the mode may be set before the
first service. lo is never attached.`,
		Example: "  evs attach\n  evs attach --mode xdp eth0",
		RunE: func(cmd *cobra.Command, names []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				if err := t.Attach(ipvs.AttachMode(mode), names...); err != nil {
					return err
				}
				s, err := t.Status()
				if err != nil {
					return err
				}
				return printAttachments(cmd.OutOrStdout(), s.Attachments)
			})
		},
	}
	cmd.Flags().StringVar(&mode, "mode", mode, "auto, xdp or tc")
	return cmd
}

func detachVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "detach [IFACE…]",
		Short: "take the data path off interfaces; the table stays",
		Long: `Detach takes the data path off the named interfaces, or without names off every
interface, and keeps it off until evs attach. Services and connections stay.`,
		Example: "  evs detach eth1",
		RunE: func(cmd *cobra.Command, names []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error { return t.Detach(names...) })
		},
	}
}

func unloadVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "unload",
		Short: "remove the table of this network namespace: programs, services, connections",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				had, err := t.Unload()
				if err == nil && !had {
					fmt.Fprintln(cmd.OutOrStdout(), "nothing to unload in this network namespace")
				}
				return err
			})
		},
	}
}

func statusVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--socket SOCKET]",
		Short: "show where the data path is attached, what it counts, and how the director fares",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := withTable(cmd.Context(), func(t *ipvs.Table) error {
				s, err := t.Status()
				if errors.Is(err, ipvs.ErrNoTable) {
					fmt.Fprintln(cmd.OutOrStdout(), ipvs.ErrNoTable)
					return nil
				}
				if errors.Is(err, ipvs.ErrLayout) {
					return printGenerations(cmd.OutOrStdout(), s)
				}
				if err != nil {
					return err
				}
				return printStatus(cmd.OutOrStdout(), s)
			})
			return errors.Join(err, printDirector(cmd))
		},
	}
	socketFlag(cmd)
	return cmd
}

func printStatus(w io.Writer, s ipvs.Status) error {
	fmt.Fprintf(w, "kernel       %s\n", s.Kernel)
	if err := printGenerations(w, s); err != nil {
		return err
	}
	fmt.Fprintf(w, "services     %d\n", s.Services)
	if err := printRoom(w, s); err != nil {
		return err
	}
	fmt.Fprintf(w, "half-open    %d of them, at most %d of IPv4 and %d of IPv6; %d gave way to newer ones\n", s.HalfOpen, s.HalfOpenPlaces, s.HalfOpenPlaces6, s.HalfOpenEvicted)
	fmt.Fprintf(w, "timer        ran %v ago\n", s.Timer.Round(time.Millisecond))
	fmt.Fprintf(w, "mode         %s\n\n", s.Mode)
	if err := printAttachments(w, s.Attachments); err != nil {
		return err
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "COUNTER\tCOUNT\tMEANING")
	for _, c := range s.Counters {
		if c.Count > 0 {
			fmt.Fprintf(tw, "%s\t%d\t%s\n", c.Name, c.Count, c.About)
		}
	}
	return tw.Flush()
}

func printAttachments(w io.Writer, all []ipvs.Attachment) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "INTERFACE\tMODE\tATTACHED\tWHY")
	for _, a := range all {
		doors := strings.Join(a.Doors, "+")
		if doors == "" {
			doors = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", a.Interface, a.Mode, doors, a.Reason)
	}
	return tw.Flush()
}

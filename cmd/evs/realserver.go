package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/realserver"
)

func realserverVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realserver",
		Short: "prepare this host as a real server, for direct routing or tunnels",
	}
	cmd.AddCommand(realserverSetup(), realserverTeardown(), realserverCheck(), realserverStatus(), realserverAgent())
	return cmd
}

const setupLong = `Give the VIPs to lo, as addresses of one host each, and have the kernel answer no
ARP request for them. The reverse-path check is loosened on the interfaces named,
or on all, where it is strict.

For tunnels, packets are taken out of them by the kernel's device where the kernel
has one, else by EVS's own decapsulator, which is attached to the interfaces and
needs no process. It takes out packets for a VIP that come in a tunnel for an
address of this host, and leaves all others alone.

What the server answers goes to the client directly, so it is the server that tells
how large the client's segments may be. For tunnels that is lowered to what fits in
one, on the way out and for the VIPs alone; so no segment is lost where ICMP is
filtered.

What is changed is recorded, so that teardown can restore it. Every change is
printed as a command. Run again with further VIPs, setup adds them.`

func realserverSetup() *cobra.Command {
	o := realserver.Options{}
	var vips, locals []string
	var mode string
	cmd := &cobra.Command{
		Use:   "setup --vip VIP [--vip VIP…] [--method dr|tunnel] [flags]",
		Short: "give the VIPs to this host and keep it silent about them",
		Long:  setupLong,
		Example: `  evs realserver setup --vip 203.0.113.10
  evs realserver setup --vip 203.0.113.10 --method tunnel --tun-type gue --tun-port 6080 --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.VIPs, err = addresses("VIP", vips); err != nil {
				return err
			}
			if o.Locals, err = addresses("local address", locals); err != nil {
				return err
			}
			if o.Mode, err = datapath.ParseMode(mode); err != nil {
				return err
			}
			r, err := realserver.Setup(cmd.Context(), o)
			if err != nil {
				return err
			}
			printRealServer(cmd.OutOrStdout(), r)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&vips, "vip", nil, "`ADDRESS` of the virtual services; may be given several times")
	f.StringVar(&o.Method, "method", "dr", "dr or tunnel")
	f.StringVar(&o.Tunnel, "tun-type", "ipip", "of tunnels: ipip, gue or gre")
	f.Uint16Var(&o.Port, "tun-port", realserver.DefaultPort, "UDP `PORT` of GUE")
	f.BoolVar(&o.Csum, "tun-csum", false, "the director sends GRE with a checksum; only the kernel's device must know")
	f.StringSliceVar(&locals, "local", nil, "`ADDRESS` of this host that the director sends tunnels to (default: every address of its interfaces)")
	f.StringSliceVar(&o.Interfaces, "interface", nil, "`INTERFACE` that the director's packets come in by (default: all but lo)")
	f.StringVar(&o.Decap, "decap", realserver.Auto, "who takes packets out of tunnels: auto, kernel or evs")
	f.StringVar(&mode, "mode", "auto", "door of EVS's decapsulator: auto, xdp or tc")
	f.IntVar(&o.MTU, "mtu", 0, "largest `BYTES` that the way from the director takes (default: what the interfaces take)")
	f.BoolVar(&o.KeepMSS, "keep-mss", false, "tunnels: do not lower the segment size that clients are told to what the tunnel has room for")
	f.BoolVar(&o.DryRun, "dry-run", false, "print the commands and change nothing")
	complete(cmd, "method", fixed(hostnet.Methods...))
	complete(cmd, "tun-type", fixed(hostnet.Tunnels...))
	complete(cmd, "decap", fixed(realserver.Auto, realserver.Kernel, realserver.EVS))
	complete(cmd, "mode", fixed("auto", "xdp", "tc"))
	return cmd
}

// addresses reads the values of a flag.
func addresses(what string, values []string) (all []netip.Addr, err error) {
	for _, v := range values {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return nil, fmt.Errorf("%s %q: want an IPv4 or IPv6 address", what, v)
		}
		all = append(all, a)
	}
	return all, nil
}

func realserverTeardown() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "teardown [--dry-run]",
		Short: "restore what setup changed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realserver.Teardown(cmd.Context(), dry)
			if err != nil {
				return err
			}
			printReport(cmd.OutOrStdout(), r.Report, "")
			if r.Decap != nil {
				fmt.Fprintln(cmd.OutOrStdout(), "# EVS's decapsulator is taken off the interfaces")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the commands and change nothing")
	return cmd
}

func printRealServer(w io.Writer, r realserver.Report) {
	inOrder := "everything is in order already: nothing to change"
	if r.Decap != nil {
		inOrder = ""
	}
	printReport(w, r.Report, inOrder)
	if r.Decap == nil {
		return
	}
	if len(r.Decap.Kinds) > 0 {
		fmt.Fprintf(w, "# EVS's decapsulator takes packets for %s out of %s\n", addressWords(r.Decap.VIPs), tunnelWords(*r.Decap))
	}
	if r.Decap.MSS4 != 0 {
		fmt.Fprintf(w, "# what SYNs of %s announce is lowered to %s\n", addressWords(r.Decap.VIPs), segmentWords(*r.Decap))
	}
	for _, a := range r.Attachments {
		if len(a.Doors) > 0 {
			fmt.Fprintf(w, "#   at %s, by %s (%s)\n", a.Interface, strings.Join(a.Doors, "+"), a.Reason)
		}
	}
}

// segmentWords say how large segments may be that come through a tunnel.
func segmentWords(c datapath.DecapConfig) string {
	return fmt.Sprintf("%d bytes over IPv4, %d over IPv6", c.MSS4, c.MSS6)
}

// tunnelWords say what a decapsulator takes packets out of.
func tunnelWords(c datapath.DecapConfig) string {
	kinds := strings.Join(c.Kinds, ", ")
	if c.Port != 0 {
		kinds = fmt.Sprintf("%s on UDP port %d", kinds, c.Port)
	}
	return fmt.Sprintf("%s for %s", kinds, addressWords(c.Locals))
}

func addressWords(all []netip.Addr) string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

func realserverStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show what this host is set up as, and what its decapsulator counts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			spec, ok, err := hostnet.Remembered(hostnet.Options{})
			if err != nil {
				return err
			}
			if ok {
				fmt.Fprintf(out, "method  %s %s\nVIPs    %s\n", spec.Method, spec.Tunnel, addressWords(spec.VIPs))
			} else {
				fmt.Fprintln(out, "not set up as a real server by `evs realserver setup`")
			}
			d, err := datapath.ReadDecap()
			if errors.Is(err, datapath.ErrNoDecap) {
				if spec.Kernel {
					fmt.Fprintln(out, "decap   by the kernel's device")
				}
				return nil
			}
			if err != nil {
				return err
			}
			return printDecap(out, d)
		},
	}
}

func printDecap(w io.Writer, d datapath.Decap) error {
	by := "by the kernel's device"
	if len(d.Kinds) > 0 {
		by = tunnelWords(d.DecapConfig)
	}
	fmt.Fprintf(w, "decap   %s, for VIPs %s\n", by, addressWords(d.VIPs))
	if d.MSS4 != 0 {
		fmt.Fprintf(w, "SYNs    announce at most %s\n", segmentWords(d.DecapConfig))
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "INTERFACE\tATTACHED\tWHY")
	for _, a := range d.Attachments {
		doors := strings.Join(a.Doors, "+")
		if doors == "" {
			doors = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", a.Interface, doors, a.Reason)
	}
	fmt.Fprintln(tw, "\nCOUNTER\tCOUNT\tMEANING")
	for _, c := range d.Counters {
		fmt.Fprintf(tw, "%s\t%d\t%s\n", c.Name, c.Count, c.About)
	}
	return tw.Flush()
}

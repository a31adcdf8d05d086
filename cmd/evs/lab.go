package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/lab"
)

func labVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "clusters of network namespaces to try things on",
		Long: `A lab is a small network of network namespaces on this machine:

    client1 … clientN ── router ── director ── server1 … serverM

The VIP is 203.0.113.10 (2001:db8:2::10) on the director, the real servers are
192.0.2.2, 192.0.2.3 and on (2001:db8:3::2 and on). They serve HTTP on ports 80
and 8080 and a UDP echo on port 7. The namespaces are called NAME-NODE.`,
		Example: `  evs lab up --servers 3
  evs lab exec director ip -br address
  evs lab get http://192.0.2.2/
  evs lab down
  evs lab run --method dr -- sh -c 'evs lab get http://$RIP1/'`,
	}
	cmd.AddCommand(labUp(), labDown(), labStatus(), labExec(), labRun(), labGet(), labServe())
	return cmd
}

// nameFlag is --name, which commands run within a lab need not give.
func nameFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", cmp.Or(os.Getenv("EVS_LAB"), "lab"), "name of the lab")
}

func specFlags(cmd *cobra.Command, spec *lab.Spec) {
	// Within `lab run` the name of that lab is taken, so EVS_LAB is no default here.
	f := cmd.Flags()
	f.StringVar(&spec.Name, "name", "lab", "name of the lab")
	f.IntVar(&spec.Clients, "clients", 1, "number of clients")
	f.IntVar(&spec.Servers, "servers", 2, fmt.Sprintf("number of real servers, up to %d", lab.MaxServers))
	f.StringVar((*string)(&spec.Method), "method", "nat", "forwarding method the servers answer by: nat, dr, tunnel, or local, where the director serves too")
	f.StringVar((*string)(&spec.Families), "family", "4", "address family: 4, 6 or both")
	f.StringVar((*string)(&spec.Tunnel), "tunnel", "", "kind of tunnel that the servers take off: ipip, gue or gre (default ipip, with method tunnel)")
	f.IntVar(&spec.Arms, "arms", 2, "interfaces of the director: 2, or 1 on the servers' link")
	f.IntVar(&spec.Gateways, "gateways", 1, "routers between clients and director: 1 or 2")
	f.IntVar(&spec.MTU, "mtu", 0, "MTU of every link (default 1500)")
	f.IntVar(&spec.InsideMTU, "inside-mtu", 0, "MTU of the servers' link, if it is another")
	f.Float64Var(&spec.Loss, "loss", 0, "how many of a hundred packets the routers lose")
	f.BoolVar(&spec.XDP, "xdp", false, "ready the director's cables for XDP on it: checksums complete, receive offload on")
	f.BoolVar(&spec.GRO, "gro", false, "turn generic receive offload on, which XDP programs that redirect need on veth")
}

func labUp() *cobra.Command {
	var spec lab.Spec
	cmd := &cobra.Command{
		Use:   "up [flags]",
		Short: "bring a lab up and return when all its servers answer",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Up(cmd.Context(), spec)
			if err != nil {
				return err
			}
			printLab(cmd.OutOrStdout(), l)
			return nil
		},
	}
	specFlags(cmd, &spec)
	return cmd
}

func labDown() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "down [--name NAME]",
		Short: "remove a lab, whole or half-built, with the processes in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Remove(cmd.Context(), name)
		},
	}
	nameFlag(cmd, &name)
	return cmd
}

func labStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show the labs there are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := lab.Names()
			if err != nil {
				return err
			}
			if len(names) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "There is no lab; `evs lab up` makes one.")
			}
			for _, name := range names {
				l, err := lab.Open(name)
				if err != nil {
					fmt.Fprintf(cmd.OutOrStdout(), "Lab %s is half-built; `evs lab down --name %s` clears it.\n", name, name)
					continue
				}
				printLab(cmd.OutOrStdout(), l)
			}
			return nil
		},
	}
}

func labExec() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "exec [--name NAME] NODE COMMAND...",
		Short: "run a command on a node",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(name)
			if err != nil {
				return err
			}
			return l.Attach(cmd.Context(), args[0], streams(cmd), args[1:]...)
		},
	}
	nameFlag(cmd, &name)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func labRun() *cobra.Command {
	var spec lab.Spec
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND...",
		Short: "bring a lab up, run a command, take the lab down whatever happens",
		Long: `Bring a lab up, run a command outside of it, and take it down when the command
ends, fails, or is interrupted. The command finds in its environment: EVS_LAB,
EVS_BINARY, EVS_METHOD, EVS_CLIENTS, EVS_SERVERS, and the addresses VIP, DIP,
CIP1…, RIP1…, with _6 appended for IPv6.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			// A terminal that is closed must not leave a lab behind either.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			l, err := lab.Up(ctx, spec)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Down()) }()
			return l.Run(ctx, streams(cmd), args...)
		},
	}
	specFlags(cmd, &spec)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func labGet() *cobra.Command {
	var name, from string
	var spec lab.LoadSpec
	cmd := &cobra.Command{
		Use:   "get [flags] URL",
		Short: "make requests from a client and show who answered",
		Long: `Make requests from a client and show who answered. URL is http://ADDRESS/PATH, or
udp://ADDRESS:7 for the echo service.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.URL = args[0]
			if from != "here" {
				l, err := lab.Open(name)
				if err != nil {
					return err
				}
				if err := l.Has(from); err != nil {
					return err
				}
				spec.Dial = l.Dial(from)
			}
			result, err := lab.Load(cmd.Context(), spec)
			if err != nil {
				return err
			}
			printLoad(cmd.OutOrStdout(), result)
			if result.Answered() == 0 {
				return fmt.Errorf("%s: nobody answered", spec.URL)
			}
			return nil
		},
	}
	nameFlag(cmd, &name)
	f := cmd.Flags()
	f.StringVar(&from, "from", lab.ClientNode(1), "node to ask from; \"here\" is the namespace evs runs in")
	f.IntVar(&spec.Requests, "requests", 10, "number of requests")
	f.IntVar(&spec.Concurrency, "concurrency", 1, "number of requests at a time")
	f.BoolVar(&spec.KeepAlive, "keep-alive", false, "keep connections for more than one request")
	f.DurationVar(&spec.Timeout, "timeout", 0, "time limit of a request (default 5s)")
	return cmd
}

func labServe() *cobra.Command {
	return &cobra.Command{
		Use:    "serve NAME",
		Short:  "be a real server",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return lab.Serve(cmd.Context(), args[0])
		},
	}
}

func streams(cmd *cobra.Command) lab.Streams {
	return lab.Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
}

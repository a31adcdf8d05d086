package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/agent"
)

const agentLong = `Tell whoever connects how busy this host is, by HAProxy's agent-check protocol: a
line as "69% # load=0.310 cpu", and the connection is closed. The percentage is what is
idle, 1% at least, as 0% would drain the server. Directors of EVS take the load itself
if weightSource has value: load, which settles better; HAProxy passes over it.

Runs until it is stopped. Who may connect is for the firewall to say.`

func realserverAgent() *cobra.Command {
	o := agent.Options{}
	var listen string
	cmd := &cobra.Command{
		Use:   "agent [--listen ADDRESS] [--from MEASURE,…] [flags]",
		Short: "tell directors how busy this host is",
		Long:  agentLong,
		Example: `  evs realserver agent
  evs realserver agent --from cpu --cgroup /system.slice/nginx.service
  evs realserver agent --from connections --full 2000 --listen 192.0.2.2:8042
  evs realserver agent --from script --script /usr/local/bin/load`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			a, err := agent.New(o, log)
			if err != nil {
				return err
			}
			l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return fmt.Errorf("cannot listen at %s: %w", listen, err)
			}
			log.Info("telling the load", "listen", l.Addr().String(), "from", o.From)
			return a.Serve(cmd.Context(), l)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", ":8042", "`ADDRESS` and port to listen at")
	f.StringSliceVar(&o.From, "from", []string{"cpu"}, "`MEASURE` of the load, of several the greatest: cpu, runqueue, pressure, memory, connections; or script")
	f.Float64Var(&o.Full, "full", 0, "runqueue, connections: the `NUMBER` that is a load of 1")
	f.StringVar(&o.Cgroup, "cgroup", "", "`PATH` of the control group whose limits count, as /system.slice/nginx.service (default: that of the agent)")
	f.DurationVar(&o.Window, "window", time.Second, "`TIME` that the load is a mean of; script: how long an answer holds")
	f.StringSliceVar(&o.Script, "script", nil, "`PROGRAM`, and arguments after commas, that prints a load, as 0.31, or a line of the protocol")
	f.StringVar(&o.User, "user", "", "script: who runs it, as `USER` or USER:GROUP")
	f.StringVar(&o.DrainFile, "drain-file", "", "`FILE` that drains the server while it is there")
	complete(cmd, "from", fixed(agent.Names()...))
	return cmd
}

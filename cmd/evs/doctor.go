package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/doctor"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/realserver"
	"github.com/evs-project/evs/ipvs"
)

// diagnose prints what a doctor found. Findings end the command with 1.
func diagnose(cmd *cobra.Command, output string, found ...doctor.Diagnosis) error {
	n := 0
	for _, d := range found {
		n += len(d.Findings)
	}
	if output == "json" {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(found); err != nil {
			return err
		}
	} else {
		for _, d := range found {
			d.Print(cmd.OutOrStdout())
		}
	}
	if n > 0 {
		return exitStatus(1)
	}
	return nil
}

// reportFlag is -o of the doctors.
func reportFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text or json")
	complete(cmd, "output", fixed("text", "json"))
}

func checkReport(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("output %q: choose one of text, json", output)
	}
	return nil
}

func doctorVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor [-o text|json]",
		Short: "look for what keeps this director from working, and say the cure",
		Long: `Look for what keeps this director from working, and say the cure of each in one
line. Nothing is changed. On the links of its servers the director asks who has
the VIPs and the servers' addresses, as any host asks: a server that answers for a
VIP takes clients from the director.

Where the host is a real server too, set up by evs realserver setup, it is checked
as that as well. The exit code is 1 if something was found, else 0.

The checks of a director are:

` + doctor.DirectorChecks(),
		Example: "  evs doctor\n  evs doctor -o json | jq -r '.[].findings[].cure'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkReport(output); err != nil {
				return err
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				f, err := doctor.LookAtDirector(cmd.Context(), t)
				if err != nil {
					return err
				}
				found := []doctor.Diagnosis{doctor.JudgeDirector(f)}
				spec, ok, err := hostnet.Remembered(hostnet.Options{})
				if err != nil {
					return err
				}
				if ok {
					server, err := doctor.LookAtServer(doctor.Server{RealServerSpec: spec}, f.Services)
					if err != nil {
						return err
					}
					found = append(found, doctor.JudgeServer(server))
				}
				return diagnose(cmd, output, found...)
			})
		},
	}
	reportFlag(cmd, &output)
	return cmd
}

func realserverCheck() *cobra.Command {
	var output, director, client string
	var vips, ports []string
	var s doctor.Server
	cmd := &cobra.Command{
		Use:   "check [--vip VIP…] [--method dr|tunnel|nat] [flags]",
		Short: "look for what keeps this real server from working, and say the cure",
		Long: `Look for what keeps this real server from working, and say the cure of each in one
line. Nothing is changed and nothing is sent. What is not told by flags is as evs
realserver setup was told; a server that was set up by hand is described by flags.
The exit code is 1 if something was found, else 0.

The checks are:

` + doctor.ServerChecks(),
		Example: `  evs realserver check
  evs realserver check --vip 203.0.113.10 --port 80 --director 192.0.2.1
  evs realserver check --vip 203.0.113.10 --method nat --director 192.0.2.1 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkReport(output); err != nil {
				return err
			}
			if s.VIPs, err = addresses("VIP", vips); err != nil {
				return err
			}
			if s.Ports, err = portsOf(ports); err != nil {
				return err
			}
			for text, to := range map[*string]*netip.Addr{&director: &s.Director, &client: &s.Client} {
				if *text == "" {
					continue
				}
				a, err := addresses("address", []string{*text})
				if err != nil {
					return err
				}
				*to = a[0]
			}
			return checkServer(cmd, output, s)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&vips, "vip", nil, "`ADDRESS` of the virtual services; may be given several times")
	f.StringVar(&s.Method, "method", "dr", "dr, tunnel or nat")
	f.StringVar(&s.Tunnel, "tun-type", "ipip", "of tunnels: ipip, gue or gre")
	f.Uint16Var(&s.Port, "tun-port", realserver.DefaultPort, "UDP `PORT` of GUE")
	f.StringSliceVar(&s.Interfaces, "interface", nil, "`INTERFACE` that the director's packets come in by")
	f.StringVar(&director, "director", "", "`ADDRESS` of the director towards its servers")
	f.StringVar(&client, "client", "", "`ADDRESS` of a client, to judge the way back to it")
	f.StringSliceVar(&ports, "port", nil, "`PORT` of a virtual service that the server serves: 80, or udp/53")
	complete(cmd, "method", fixed(doctor.Methods...))
	complete(cmd, "tun-type", fixed(hostnet.Tunnels...))
	reportFlag(cmd, &output)
	return cmd
}

// checkServer fills in what the flags left to the record of the setup.
func checkServer(cmd *cobra.Command, output string, s doctor.Server) error {
	spec, ok, err := hostnet.Remembered(hostnet.Options{})
	if err != nil {
		return err
	}
	changed := cmd.Flags().Changed
	if ok && !changed("method") && !changed("tun-type") {
		s.Method, s.Tunnel, s.Kernel = spec.Method, spec.Tunnel, spec.Kernel
		if !changed("tun-port") {
			s.Port = spec.Port
		}
	}
	if ok && !changed("vip") {
		s.VIPs = spec.VIPs
	}
	if ok && !changed("interface") {
		s.Interfaces = spec.Interfaces
	}
	if s.Method != "tunnel" {
		s.Tunnel, s.Port = "", 0
	}
	if err := s.CheckServer(); err != nil {
		return err
	}
	services, err := doctor.ReadServices(cmd.Context())
	if err != nil {
		services = nil // a kernel that can have no table has no service either
	}
	f, err := doctor.LookAtServer(s, services)
	if err != nil {
		return err
	}
	return diagnose(cmd, output, doctor.JudgeServer(f))
}

// portsOf reads "80" and "udp/53".
func portsOf(words []string) (all []hostnet.Listener, err error) {
	for _, word := range words {
		proto, number, given := strings.Cut(word, "/")
		if !given {
			proto, number = "tcp", word
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 || proto != "tcp" && proto != "udp" {
			return nil, fmt.Errorf("port %q: want a number like 80, or udp/53", word)
		}
		all = append(all, hostnet.Listener{Proto: proto, Addr: netip.AddrPortFrom(netip.Addr{}, uint16(n))})
	}
	return all, nil
}

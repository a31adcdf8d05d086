package ipvsadm

import (
	"fmt"

	"github.com/evs-project/evs/ipvs"
)

// selectors are the options that name a service, for printing rules.
var selectors = map[ipvs.Protocol]string{ipvs.TCP: "-t", ipvs.UDP: "-u", ipvs.SCTP: "--sctp-service"}

// methodOptions are the options of forwarding methods, for printing rules.
var methodOptions = map[ipvs.Method]string{ipvs.Masquerade: "-m", ipvs.Tunnel: "-i", ipvs.Route: "-g", ipvs.Local: "-g"}

// Rules prints the services as command lines that make them again. Thresholds
// are not saved, as in the real command.
func (p *Printer) Rules(services []ipvs.ServiceInfo) {
	for _, s := range sorted(services) {
		key := p.ruleKey(s.ServiceKey)
		fmt.Fprintf(p.Out, "-A %s -s %s%s\n", key, s.Scheduler, serviceRule(s.Service))
		for _, d := range s.Destinations {
			fmt.Fprintf(p.Out, "-a %s -r %s %s -w %d%s\n", key, p.addrPort(d.Addr, s.Protocol),
				methodOptions[d.Method], d.Weight, tunnelRule(d.Destination))
		}
	}
}

// ruleKey is the option that selects a service.
func (p *Printer) ruleKey(k ipvs.ServiceKey) string {
	switch {
	case k.FWMark == 0:
		return selectors[k.Protocol] + " " + p.addrPort(k.Addr, k.Protocol)
	case k.Family == ipvs.IPv6:
		return fmt.Sprintf("-f %d -6", int32(k.FWMark))
	}
	return fmt.Sprintf("-f %d", int32(k.FWMark))
}

// serviceRule is the options of a service behind its scheduler.
func serviceRule(s ipvs.Service) string {
	rule := ""
	if s.Persistent {
		rule += fmt.Sprintf(" -p %d", s.Timeout)
		if mask, narrow := maskText(s); narrow {
			rule += " -M " + mask
		}
	}
	if s.Engine != "" {
		rule += " --pe " + s.Engine
	}
	if s.OnePacket {
		rule += " -o"
	}
	if s.SchedFlags != 0 {
		rule += " -b " + schedFlagNames(s)
	}
	return rule
}

// tunnelRule is the options of an encapsulation.
func tunnelRule(d ipvs.Destination) string {
	if d.Method != ipvs.Tunnel {
		return ""
	}
	rule := " --tun-type " + d.Tunnel.Type.String()
	if d.Tunnel.Type == ipvs.GUE {
		rule += fmt.Sprintf(" --tun-port %d", d.Tunnel.Port)
	}
	switch {
	case d.Tunnel.Type == ipvs.IPIP:
		return rule
	case d.Tunnel.Flags&ipvs.TunnelChecksum != 0:
		return rule + " --tun-csum"
	case d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0:
		return rule + " --tun-remcsum"
	}
	return rule + " --tun-nocsum"
}

package convert

import (
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// Names resolves names of hosts and ports.
type Names = ipvsadm.Names

// fromRules reads what ipvsadm -S writes.
func fromRules(name, text string, o Options) (*config.Desired, []Note, error) {
	rules, wrong := config.ReadRules(strings.NewReader(text), o.Names)
	var notes []Note
	for _, w := range wrong {
		notes = append(notes, Note{name, w.Line, w.Text, w.Err.Error()})
	}
	d := fresh()
	for _, spec := range rules.Services {
		d.Services = append(d.Services, ruleService(spec))
	}
	return d, notes, nil
}

func ruleService(spec ipvs.ServiceSpec) config.Service {
	s := config.Service{Family: config.IPv4}
	document.Defaults(&s)
	switch k := spec.ServiceKey; {
	case k.FWMark != 0:
		s.FWMark = []uint32{k.FWMark}
		if k.Family == ipvs.IPv6 {
			s.Family = config.IPv6
		}
	case k.Protocol == ipvs.TCP:
		s.TCP = append(s.TCP, k.Addr)
	case k.Protocol == ipvs.UDP:
		s.UDP = append(s.UDP, k.Addr)
	default:
		s.SCTP = append(s.SCTP, k.Addr)
	}
	s.Scheduler, s.OnePacket = config.Scheduler(spec.Scheduler), spec.OnePacket
	if spec.SchedFlags != 0 {
		s.SchedulerFlags = options.SchedFlags(spec.Service)
	}
	if spec.Persistent {
		s.Persistence = &config.Persistence{Timeout: time.Duration(spec.Timeout) * time.Second, Engine: config.Engine(spec.Engine)}
		if ipvs.MaskLen(spec.Mask) != spec.Mask.BitLen() {
			s.Persistence.Netmask = options.Netmask(spec.Service)
		}
	}
	for _, d := range spec.Destinations {
		s.Destinations = append(s.Destinations, ruleDestination(spec.Service, d))
	}
	if len(s.Destinations) > 0 {
		hoist(&s)
	}
	return s
}

func ruleDestination(s ipvs.Service, d ipvs.Destination) config.Destination {
	out := config.Destination{}
	document.Defaults(&out)
	out.Address.AddrPort = d.Addr
	if d.Method != ipvs.Masquerade && s.FWMark == 0 { // the port is the service's, whatever is said
		out.Address.AddrPort = withPort(d.Addr, 0)
	}
	out.Method = config.Method(options.Method(d.Method))
	if d.Method == ipvs.Tunnel {
		out.Tunnel = config.Tunnel{Type: d.Tunnel.Type.String(), Port: d.Tunnel.Port, Checksum: options.Checksum(d.Tunnel)}
	}
	out.Weight, out.UpperThreshold, out.LowerThreshold = d.Weight, d.Upper, d.Lower
	return out
}

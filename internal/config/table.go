package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// keyAt is the key of a virtual service, and a pointer to what a file says of it.
type keyAt struct {
	key ipvs.ServiceKey
	at  any
}

// keys are the services of the table that s stands for.
func (s *Service) keys() []keyAt {
	var out []keyAt
	for _, list := range []struct {
		protocol ipvs.Protocol
		addrs    []netip.AddrPort
	}{{ipvs.TCP, s.TCP}, {ipvs.UDP, s.UDP}, {ipvs.SCTP, s.SCTP}} {
		for i, addr := range list.addrs {
			out = append(out, keyAt{ipvs.ServiceAt(list.protocol, addr), &list.addrs[i]})
		}
	}
	family := ipvs.IPv4
	if s.Family == IPv6 {
		family = ipvs.IPv6
	}
	for i, mark := range s.FWMark {
		out = append(out, keyAt{ipvs.ServiceMark(mark, family), &s.FWMark[i]})
	}
	return out
}

// Keys are the services of the table that s stands for: all have the same
// servers.
func (s Service) Keys() []ipvs.ServiceKey {
	var out []ipvs.ServiceKey
	for _, k := range s.keys() {
		out = append(out, k.key)
	}
	return out
}

// wrongOption is what is wrong with an option of a service.
type wrongOption struct {
	name string
	err  error
}

// places are where the option may stand, the nearest first.
func (w wrongOption) places(s *Service, def *Pool) []any {
	switch w.name {
	case "sched-flags":
		return []any{&s.SchedulerFlags, &def.SchedulerFlags}
	case "netmask":
		return []any{&s.Persistence.Netmask, s.Persistence}
	case "persistent":
		return []any{&s.Persistence.Timeout, s.Persistence}
	}
	return nil
}

// Service is the service of the table for one of the keys.
func (s Service) Service(k ipvs.ServiceKey) ipvs.Service {
	out, _ := s.service(k)
	return out
}

// service makes it by the table that evs service reads its options by.
func (s *Service) service(k ipvs.ServiceKey) (ipvs.Service, wrongOption) {
	given := map[string]string{"scheduler": string(s.Scheduler)}
	if len(s.SchedulerFlags) > 0 {
		given["sched-flags"] = strings.Join(s.SchedulerFlags, ",")
	}
	if p := s.Persistence; p != nil && p.Timeout > 0 {
		given["persistent"] = p.Timeout.String()
		if p.Netmask != "" {
			given["netmask"] = p.Netmask
		}
		if p.Engine != "" {
			given["pe"] = string(p.Engine)
		}
	}
	out := ipvs.Service{ServiceKey: k, OnePacket: s.OnePacket}
	for _, o := range options.Service {
		if arg, ok := given[o.Name]; ok {
			if err := o.Set(&out, arg); err != nil {
				return out.WithDefaults(), wrongOption{o.Name, fmt.Errorf("%q: %w", arg, err)}
			}
		}
	}
	return out.WithDefaults(), wrongOption{}
}

// Destination is the destination of the table at the service of a key, with its
// configured weight.
func (d Destination) Destination(k ipvs.ServiceKey) ipvs.Destination { return d.at(k) }

func (d Destination) at(k ipvs.ServiceKey) ipvs.Destination {
	addr := d.Address.AddrPort
	if addr.Port() == 0 && !d.Address.Any {
		addr = netip.AddrPortFrom(addr.Addr(), k.Addr.Port())
	}
	given := map[string]string{"method": string(d.Method)}
	if d.Method == "tunnel" {
		given["tunnel-type"], given["tunnel-checksum"] = d.Tunnel.Type, d.Tunnel.Checksum
		if d.Tunnel.Port != 0 {
			given["tunnel-port"] = strconv.Itoa(int(d.Tunnel.Port))
		}
	}
	out := ipvs.Destination{Addr: addr, Weight: d.Weight, Upper: d.UpperThreshold, Lower: d.LowerThreshold}
	for _, o := range options.Destination {
		if arg, ok := given[o.Name]; ok {
			_ = o.Set(&out, arg) // the words are checked when they are read
		}
	}
	return out
}

// sorryServer is what the sorry server has of the service.
func (s *Service) sorryServer() Server {
	out := Server{Method: s.Method, Tunnel: s.Tunnel, Weight: s.SorryServer.Weight}
	if s.SorryServer.Method != "" {
		out.Method = s.SorryServer.Method
	}
	if s.SorryServer.Tunnel != nil {
		out.Tunnel = *s.SorryServer.Tunnel
	}
	return out
}

// Sorry is the sorry server as a destination, false if there is none.
func (s Service) Sorry() (Destination, bool) {
	if s.SorryServer == nil {
		return Destination{}, false
	}
	return Destination{Address: s.SorryServer.Address, Server: s.sorryServer()}, true
}

// Timeouts of the table, of which a zero one stays as it is.
func (t Timeouts) Timeouts() ipvs.Timeouts {
	return ipvs.Timeouts{TCP: t.TCP.Truncate(time.Second), TCPFin: t.TCPFin.Truncate(time.Second), UDP: t.UDP.Truncate(time.Second)}
}

// Specs are the services of the table if every server is well.
func (d Desired) Specs() []ipvs.ServiceSpec {
	var out []ipvs.ServiceSpec
	for _, s := range d.Services {
		for _, k := range s.Keys() {
			spec := ipvs.ServiceSpec{Service: s.Service(k)}
			for _, dest := range s.Destinations {
				spec.Destinations = append(spec.Destinations, dest.Destination(k))
			}
			if sorry, ok := s.Sorry(); ok && s.SorryServer.Inhibit {
				quiet := sorry.Destination(k)
				quiet.Weight = 0
				spec.Destinations = append(spec.Destinations, quiet)
			}
			out = append(out, spec)
		}
	}
	return out
}

package sched

import "net/netip"

// Hashed is a service of a scheduler that hashes, as far as it decides who is sent
// where.
type Hashed struct {
	// V6 says that the service is one over IPv6.
	V6      bool
	Members []Member
	// Fallback hashes clients again whose server takes none, as sh-fallback and
	// mh-fallback have it.
	Fallback bool
}

// sampled is how many clients stand for all, where a second hash of each matters:
// by them a share is known to half a percent.
const sampled = 1 << 14

// Moved is the share, from 0 to 1, of those who had a server before and are given
// another after, or none; of an empty service nobody is moved. It is false for a
// scheduler that does not hash.
//
// It is exact over the places of the table, each of which stands for as many
// clients (with dh, of addresses they ask for). Only mh with its fallback sends two
// clients of one place to different servers: there it is that of a fixed sample.
func Moved(scheduler string, before, after Hashed) (share float64, ok bool) {
	s, found := Find(scheduler)
	if !found || s.Place == nil {
		return 0, false
	}
	was, is := newLedger(s, before), newLedger(s, after)
	all := probes(s.Name, before.Fallback || after.Fallback, max(len(was.places), len(is.places)))
	if len(all) == 0 {
		return 0, true
	}
	moved := 0
	for _, p := range all {
		if server := was.server(p); server.IsValid() && server != is.server(p) {
			moved++
		}
	}
	return float64(moved) / float64(len(all)), true
}

// A probe is a client, or all that have one place: the place for each offset that
// the hash is taken with.
type probe func(offset uint32) uint32

// probes are evenly spread over the hash's values.
func probes(scheduler string, fallback bool, places int) []probe {
	if places == 0 {
		return nil
	}
	var all []probe
	if scheduler == "mh" && fallback {
		for i := range uint32(sampled) {
			client := i * mhKey1 // by a golden ratio, which spreads them
			all = append(all, func(offset uint32) uint32 { return siphash13(client+offset, mhKey1) % MHPlaces })
		}
		return all
	}
	for first := range uint32(places) {
		all = append(all, func(offset uint32) uint32 { return (first + offset) % uint32(places) })
	}
	return all
}

// ledger is a table with the servers that its places lead to.
type ledger struct {
	places   []uint16
	members  []Member
	fallback bool
}

func newLedger(s Scheduler, h Hashed) ledger {
	l := ledger{members: h.Members}
	for _, m := range h.Members {
		if m.Weight > 0 { // else whoever comes is refused, whatever the table says
			l.places = s.Place(h.V6, h.Members)
		}
	}
	l.fallback = h.Fallback
	return l
}

// server is who a client is given to, not valid for nobody. It walks as the data
// path does (bpf/sched/hash.h).
func (l ledger) server(p probe) netip.AddrPort {
	if len(l.places) == 0 {
		return netip.AddrPort{}
	}
	first := p(0)
	if m, ok := l.at(first); ok || m == nil || !l.fallback {
		return addrOf(m, ok)
	}
	for i := range uint32(len(l.places)) {
		if m, ok := l.at(p((first + i) % uint32(len(l.places)))); ok || m == nil {
			return addrOf(m, ok)
		}
	}
	return netip.AddrPort{}
}

// at is the member that a place leads to, if any, and whether it takes clients.
func (l ledger) at(place uint32) (m *Member, usable bool) {
	position := l.places[place]
	if position == NoPlace {
		return nil, false
	}
	m = &l.members[position]
	return m, m.Weight > 0
}

func addrOf(m *Member, usable bool) netip.AddrPort {
	if !usable {
		return netip.AddrPort{}
	}
	return m.Addr
}

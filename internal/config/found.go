package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/ipvs"
)

// Found reads servers that a discovery has found for a service: a list of destinations
// as in the director's file, which have what the service says of its servers. They are
// in an order that follows from them alone, and without those that the file has. An
// error is all that is wrong, or that there are none.
func (s Service) Found(d Discovery, from string, text []byte) ([]Destination, error) {
	r := document.NewReader()
	var found []Destination
	r.ReadList(from, text, &found, Destination{Server: s.Server})
	if wrong := r.Problems(); len(wrong) > 0 {
		return nil, wrong
	}
	switch {
	case len(found) == 0:
		return nil, errors.New("the answer has no server")
	case len(found) > d.Limit:
		return nil, fmt.Errorf("the answer has %d servers, more than the limit of %d: raise it if that is right", len(found), d.Limit)
	}
	for i := range found {
		if at := &found[i].Address; at.IsValid() && at.Port() == 0 && !at.Any && d.Port != 0 {
			at.AddrPort = netip.AddrPortFrom(at.Addr(), d.Port)
		}
	}
	own := s
	own.Destinations, own.SorryServer = found, nil
	(&checking{Reader: r, part: &Desired{}}).pool(&own, own.keys())
	if wrong := r.Problems(); len(wrong) > 0 {
		return nil, wrong
	}
	slices.SortFunc(found, func(a, b Destination) int { return a.Address.Compare(b.Address.AddrPort) })
	return slices.DeleteFunc(found, s.has), nil
}

// has says whether the file has a destination of that address, or it is the sorry
// server.
func (s Service) has(found Destination) bool {
	sorry, mourns := s.Sorry()
	for _, k := range s.Keys() {
		at := found.Destination(k).Addr
		same := func(d Destination) bool { return d.Destination(k).Addr == at }
		if slices.ContainsFunc(s.Destinations, same) || mourns && same(sorry) {
			return true
		}
	}
	return false
}

// Takes says whether a server of that family can be one of the service's.
func (s Service) Takes(family ipvs.Family) bool {
	for _, k := range s.Keys() {
		if k.Family != family && s.Method != "tunnel" {
			return false
		}
	}
	return true
}

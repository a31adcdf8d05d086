package config

import (
	"strings"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
)

// Start are the services of the table before any check has been made: a server
// whose checks start down is not there yet, or with weight 0.
func (d Desired) Start() []ipvs.ServiceSpec {
	var out []ipvs.ServiceSpec
	for _, s := range d.Services {
		members := make([]health.Member, len(s.Destinations))
		for i, dest := range s.Destinations {
			members[i] = health.Member{Weight: int(dest.Weight), Up: true, Inhibit: &s.Destinations[i].Inhibit}
			for _, check := range dest.Check {
				members[i].Up = members[i].Up && check.WithDefaults().Start == health.StartUp
			}
		}
		verdict := health.Decide(s.Rules(), false, members)
		for _, k := range s.Keys() {
			out = append(out, s.Placed(k, verdict))
		}
	}
	return out
}

// Rules are what the service wants done with servers that are not well.
func (s Service) Rules() health.Rules {
	return health.Rules{
		Quorum: s.Quorum, Hysteresis: s.Hysteresis, Inhibit: s.Inhibit, FailOpen: s.FailOpen,
		Sorry: s.SorryServer != nil, SorryInhibit: s.SorryServer != nil && s.SorryServer.Inhibit,
	}
}

// Placed is the service at a key with its servers where a verdict on them, in their
// order, has them: what the table is to hold.
func (s Service) Placed(k ipvs.ServiceKey, v health.Verdict) ipvs.ServiceSpec {
	spec := ipvs.ServiceSpec{Service: s.Service(k)}
	add := func(d Destination, at health.Place) {
		if at.Listed {
			dest := d.Destination(k)
			dest.Weight = int32(at.Weight)
			spec.Destinations = append(spec.Destinations, dest)
		}
	}
	for i, d := range s.Destinations {
		add(d, v.Places[i])
	}
	if sorry, ok := s.Sorry(); ok {
		at := v.Sorry
		if at.Weight > 0 {
			at.Weight = int(sorry.Weight)
		}
		add(sorry, at)
	}
	return spec
}

// Saved is services as `ipvsadm -Sn` writes them. As there, thresholds are no
// part of it.
func Saved(specs []ipvs.ServiceSpec) string {
	var table []ipvs.ServiceInfo
	for _, spec := range specs {
		s := ipvs.ServiceInfo{Service: spec.Service}
		for _, d := range spec.Destinations {
			s.Destinations = append(s.Destinations, ipvs.DestinationInfo{Destination: d})
		}
		table = append(table, s)
	}
	var out strings.Builder
	p := ipvsadm.Printer{Out: &out, Format: ipvsadm.Format{Numeric: true}}
	p.Rules(table)
	return out.String()
}

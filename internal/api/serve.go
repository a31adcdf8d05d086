package api

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/evs-project/evs/internal/drain"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
)

// Drains is the list of drains.
type Drains struct {
	Header `json:",inline"`
	Drains []keep.Drain `json:"drains" about:"in the order in which they began"`
}

// Overrides is the list of overrides.
type Overrides struct {
	Header    `json:",inline"`
	Overrides []keep.Override `json:"overrides" about:"in the order in which they began"`
}

// Weights is the list of weights.
type Weights struct {
	Header  `json:",inline"`
	Weights []ServerWeight `json:"weights" about:"in the order of the file"`
}

// ServerWeight is the weight of a destination.
type ServerWeight struct {
	Service     string      `json:"service" about:"the name of the service"`
	Destination keep.Server `json:"destination" about:"the server"`
	State       keep.State  `json:"state" one:"up down" about:"what its checks, or an override, take it for"`
	Weight      `json:",inline"`
}

func header(kind string) Header { return Header{listing.APIVersion, kind} }

func (s *Server) describe(*http.Request) (any, error) { return s.openapi, nil }

func (s *Server) status(*http.Request) (any, error) {
	st := s.director.Status()
	st.Header = header("Status")
	st.Files, st.Faults = some(st.Files), some(st.Faults)
	return st, nil
}

// some is the list, never nil.
func some[T any](list []T) []T { return append([]T{}, list...) }

// known are the services with what operators have said of them.
func (s *Server) known() []Service {
	now := time.Now()
	all := some(s.director.Services())
	for i := range all {
		all[i].Addresses, all[i].Destinations = some(all[i].Addresses), some(all[i].Destinations)
		for j := range all[i].Destinations {
			d := &all[i].Destinations[j]
			d.Checks = some(d.Checks)
			for _, k := range all[i].Addresses {
				said := s.store.Said(k.ServiceKey, d.Address.AddrPort, now)
				d.Drain, d.Override = cmp.Or(d.Drain, said.Drain), cmp.Or(d.Override, said.Override)
			}
			d.explain()
		}
	}
	return all
}

// explain gives the weight of a server of which operators have said something that
// reason: it goes before what the weight would be otherwise.
func (d *Destination) explain() {
	switch {
	case d.Drain != nil:
		d.Weight.Reason, d.Weight.About = "drain", "it is drained: no new connections"
	case d.Override != nil && d.Override.Weight != nil:
		d.Weight.Reason, d.Weight.About = "override", "an operator has set it by hand"
	}
}

func (s *Server) services(*http.Request) (any, error) {
	return Services{header("Services"), s.known()}, nil
}

func (s *Server) weights(*http.Request) (any, error) {
	all := []ServerWeight{}
	for _, service := range s.known() {
		for _, d := range service.Destinations {
			all = append(all, ServerWeight{service.Name, d.Address, d.State, d.Weight})
		}
	}
	return Weights{header("Weights"), all}, nil
}

func (s *Server) drains(*http.Request) (any, error) {
	return Drains{header("Drains"), some(s.store.Drains())}, nil
}

func (s *Server) drain(r *http.Request) (any, error) {
	var in DrainRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	meant, err := s.meant(in.Scope)
	if err != nil {
		return nil, err
	}
	return s.store.AddDrain(drain.New(in.Scope, in.Over(meant[0].Terms.file()), time.Now()))
}

// meant are the destinations of a scope, at least one.
func (s *Server) meant(scope keep.Scope) (all []Destination, err error) {
	for _, service := range s.director.Services() {
		for _, d := range service.Destinations {
			for _, k := range service.Addresses {
				if scope.Covers(k.ServiceKey, d.Address.AddrPort) {
					all = append(all, d)
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, problem(http.StatusNotFound, fmt.Sprintf("%s: the director has no such server: `evs weights` lists those it has", scope))
	}
	return all, nil
}

func (s *Server) getDrain(r *http.Request) (any, error) {
	for _, d := range s.store.Drains() {
		if d.ID == r.PathValue("id") {
			return d, nil
		}
	}
	return nil, fmt.Errorf("drain %s: %w", r.PathValue("id"), keep.ErrNone)
}

func (s *Server) undrain(r *http.Request) (any, error) {
	return nil, s.store.DeleteDrain(r.PathValue("id"))
}

func (s *Server) overrides(*http.Request) (any, error) {
	return Overrides{header("Overrides"), some(s.store.Overrides(time.Now()))}, nil
}

func (s *Server) override(r *http.Request) (any, error) {
	var in OverrideRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if _, err := s.meant(in.Scope); err != nil {
		return nil, err
	}
	return s.store.AddOverride(in.override(time.Now()))
}

func (s *Server) unoverride(r *http.Request) (any, error) {
	return nil, s.store.DeleteOverride(r.PathValue("id"))
}

func (s *Server) reload(r *http.Request) (any, error) {
	if err := s.director.Reload(r.Context()); err != nil {
		return nil, err
	}
	return s.director.Status().Reload, nil
}

func (s *Server) plan(r *http.Request) (any, error) {
	p, err := s.director.Plan(r.Context())
	if err != nil {
		return nil, err
	}
	return listing.NewPlan(p.Changes), nil
}

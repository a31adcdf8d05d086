package config

import (
	"github.com/goccy/go-yaml"

	"github.com/evs-project/evs/internal/document"
)

// Write writes what is desired as a short director's file: without defaults, and
// without what servers have of their service. Of a service with a check of its
// own every server has that check, or one of another kind.
func Write(d Desired) ([]byte, error) {
	var none Desired
	document.Defaults(&none)
	services := make([]any, len(d.Services))
	for i, s := range d.Services {
		services[i] = writeService(s)
	}
	d.Services = nil
	top := document.EncodeBeyond(d, none)
	return marshal(append(top, yaml.MapItem{Key: "services", Value: services}), nil)
}

func writeService(s Service) yaml.MapSlice {
	like := Service{Family: IPv4}
	document.Defaults(&like)
	destinations := make([]any, len(s.Destinations))
	for i, d := range s.Destinations {
		destinations[i] = document.EncodeBeyond(d, Destination{Server: s.Server})
	}
	s.Destinations = nil
	m := document.EncodeBeyond(s, like)
	if len(destinations) > 0 {
		m = append(m, yaml.MapItem{Key: "destinations", Value: destinations})
	}
	return m
}

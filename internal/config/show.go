package config

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
)

// Show writes what is desired as a director's file that says all of it: what was
// left out, inherited or included, and the settings that are switched on.
func Show(d Desired) ([]byte, error) {
	var top yaml.MapSlice
	comments := yaml.CommentMap{}
	for _, item := range document.Encode(d).(yaml.MapSlice) {
		switch item.Key {
		case "defaults":
			continue
		case "services":
			item.Value = showServices(d.Services)
		}
		if item.Key == "settings" {
			continue
		}
		top = append(top, item)
	}
	var settings yaml.MapSlice
	for _, s := range d.Sysctls() {
		settings = append(settings, yaml.MapItem{Key: s.Name, Value: s.Value})
		comments["$.settings."+s.Name] = []*yaml.Comment{yaml.LineComment(" " + s.Why)}
	}
	top = append(yaml.MapSlice{{Key: "settings", Value: settings}}, top...)
	return marshal(top, comments)
}

func marshal(top yaml.MapSlice, comments yaml.CommentMap) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(top, yaml.IndentSequence(true), yaml.WithComment(comments))
	if err != nil {
		return nil, fmt.Errorf("write as YAML: %w", err)
	}
	return text, nil
}

// showServices fills in what checks leave out.
func showServices(services []Service) []any {
	out := make([]any, len(services))
	for i, s := range services {
		s.Check = effective(s.Check)
		s.Destinations = slices.Clone(s.Destinations)
		for j := range s.Destinations {
			s.Destinations[j].Check = effective(s.Destinations[j].Check)
		}
		m := document.Encode(s).(yaml.MapSlice)
		if len(s.FWMark) == 0 {
			m = without(m, func(key string) bool { return key == "family" })
		}
		out[i] = prune(m)
	}
	return out
}

func effective(checks []health.Spec) []health.Spec {
	out := make([]health.Spec, len(checks))
	for i, c := range checks {
		out[i] = c.WithDefaults()
	}
	return out
}

// prune takes from what has a kind the keys that another kind would have.
func prune(m yaml.MapSlice) yaml.MapSlice {
	for i, item := range m {
		switch of := item.Value.(type) {
		case []any:
			for j := range of {
				if inner, ok := of[j].(yaml.MapSlice); ok {
					of[j] = ofKind(item.Key.(string), prune(inner))
				}
			}
			if item.Key == "check" && len(of) == 1 {
				m[i].Value = of[0]
			}
		case yaml.MapSlice:
			m[i].Value = ofKind(item.Key.(string), prune(of))
		}
	}
	return m
}

// ofKind leaves in a mapping what its kind knows.
func ofKind(name string, m yaml.MapSlice) yaml.MapSlice {
	kind := ""
	for _, item := range m {
		if item.Key == "kind" {
			kind = fmt.Sprint(item.Value)
		}
	}
	switch name {
	case "check":
		k, _ := health.KindOf(kind)
		return without(m, func(key string) bool { return !slices.Contains(k.FieldNames(), key) })
	case "weightSource":
		return without(m, sourceKinds.foreign(kind))
	case "discovery":
		return without(m, discoveryKinds.foreign(kind))
	}
	return m
}

func without(m yaml.MapSlice, drop func(key string) bool) yaml.MapSlice {
	return slices.DeleteFunc(m, func(i yaml.MapItem) bool { return drop(i.Key.(string)) })
}

package config

import (
	"fmt"
	"slices"
	"strings"
)

// kindKeys are the keys of one kind of a weight source or a discovery: what it
// needs, and what it may have besides.
type kindKeys struct{ needs, may []string }

type kinds map[string]kindKeys

func (k kindKeys) has(key string) bool {
	return slices.Contains(k.needs, key) || slices.Contains(k.may, key)
}

// foreign tells the keys that other kinds have and this one does not.
func (all kinds) foreign(kind string) func(key string) bool {
	return func(key string) bool {
		for _, other := range all {
			if other.has(key) {
				return !all[kind].has(key)
			}
		}
		return false
	}
}

var sourceKinds = kinds{
	"agent":      {nil, []string{"port", "send"}},
	"http-json":  {[]string{"url"}, []string{"field"}},
	"prometheus": {[]string{"url", "query"}, nil},
	"exec":       {[]string{"command"}, []string{"user"}},
	"file":       {[]string{"file"}, nil},
	"passive":    {nil, nil},
}

var discoveryKinds = kinds{
	"dns":  {[]string{"name"}, []string{"record", "resolver"}},
	"file": {[]string{"file"}, nil},
	"http": {[]string{"url"}, nil},
}

func (c *checking) source(w *WeightSource, weight int32) {
	c.kind(w, &w.Kind, w.Kind, sourceKinds, map[string]any{
		"port": &w.Port, "send": &w.Send, "url": &w.URL, "field": &w.Field, "query": &w.Query,
		"command": &w.Command, "user": &w.User, "file": &w.File,
	})
	if w.Ceiling != 0 && w.Ceiling < max(w.Floor, weight) {
		c.Wrong(fmt.Sprintf("it is below the floor %d or the configured weight %d: write a greater one", w.Floor, weight), &w.Ceiling, w)
	}
	if w.Floor > weight && weight > 0 {
		c.Wrong(fmt.Sprintf("it is above the configured weight %d: write a smaller one", weight), &w.Floor, w)
	}
	if w.StaleAfter < w.Interval {
		c.Wrong(fmt.Sprintf("it is shorter than the interval %s: every answer would be stale", w.Interval), &w.StaleAfter, w)
	}
	if w.Kind == "http-json" && w.Field != "" && !strings.HasPrefix(w.Field, "/") {
		c.Wrong(fmt.Sprintf("%q is no JSON Pointer: write it as /load/0", w.Field), &w.Field)
	}
}

func (c *checking) discovery(d *Discovery) {
	c.kind(d, &d.Kind, d.Kind, discoveryKinds, map[string]any{
		"name": &d.Name, "record": &d.Record, "resolver": &d.Resolver, "file": &d.File, "url": &d.URL,
	})
}

// kind finds keys that the kind does not know, and those it lacks.
func (c *checking) kind(owner, at any, kind string, all kinds, keys map[string]any) {
	row, ok := all[kind]
	if !ok {
		if kind == "" {
			c.Wrong("it has no kind: write kind: "+oneOf(all), owner)
		}
		return
	}
	for name, pointer := range keys {
		mine := slices.Contains(row.needs, name)
		switch {
		case mine && !c.Given(pointer):
			c.WrongIn(name, fmt.Sprintf("it is missing: kind %s needs it", kind), owner)
		case c.Given(pointer) && !row.has(name):
			c.Wrong(fmt.Sprintf("it means nothing to kind %s: leave it out", kind), pointer, at)
		}
	}
}

func oneOf(all kinds) string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

package document

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// About explains the fields of structures that are not ours, whose tags do not,
// by the structure and the key.
type About map[reflect.Type]map[string]Extra

// Extra is what the tags of a field would say.
type Extra struct {
	About, Default string
	One            []string
}

// with completes a field.
func (a About) with(t reflect.Type, f field) field {
	extra := a[t][f.name]
	if extra.About != "" {
		f.about = extra.About
	}
	if extra.Default != "" {
		f.fallback = extra.Default
	}
	if extra.One != nil {
		f.one = extra.One
	}
	return f
}

// Row is a line of the reference.
type Row struct{ Name, Value, Default, About string }

// Table explains the keys of one structure.
type Table struct {
	Name string // the structure's
	Rows []Row
}

// Tables explain the structure of the value, and those in it, each once, but for
// those that say nothing of some of their keys.
func (a About) Tables(value any) []Table {
	var out []Table
	a.walk(reflect.TypeOf(value), map[reflect.Type]bool{}, func(t reflect.Type) {
		table, explained := Table{Name: t.Name()}, true
		for _, f := range fields(t) {
			f = a.with(t, f)
			explained = explained && f.about != ""
			fallback := f.fallback
			if f.inherits != "" {
				fallback = "as " + f.inherits
			}
			table.Rows = append(table.Rows, Row{f.name, valueName(f), fallback, f.about})
		}
		if explained { // another page has the others
			out = append(out, table)
		}
	})
	return out
}

// walk visits a structure and then those in it.
func (a About) walk(t reflect.Type, seen map[reflect.Type]bool, visit func(reflect.Type)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !isText(t) || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || isScalar(t) || seen[t] {
		return
	}
	seen[t] = true
	visit(t)
	for _, f := range fields(t) {
		a.walk(f.kind, seen, visit)
	}
}

// valueName says in a few words what a field's value is.
func valueName(f field) string {
	t := f.kind
	list := ""
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !isText(t) {
		if t.Kind() == reflect.Slice {
			list = ", or a list"
		}
		t = t.Elem()
	}
	f.kind = t
	switch {
	case t.Kind() == reflect.Map:
		return "NAME: VALUE"
	case choices(f) != nil:
		return strings.Join(choices(f), ", ") + list
	case isDuration(t):
		return "time" + list
	case t.Kind() == reflect.Struct && !isScalar(t):
		return t.Name() + list
	case t.Kind() == reflect.Bool:
		return "true, false"
	case t.Kind() == reflect.String || isText(t):
		return "text" + list
	}
	return "number" + rangeText(f) + list
}

// isDuration is true of all durations that are written alike.
func isDuration(t reflect.Type) bool {
	return t == durationType || t.Kind() == reflect.Int64 && t.Name() == "Duration"
}

// Schema is the JSON Schema of files that lead to such a value.
func (a About) Schema(id, title string, value any) map[string]any {
	top := reflect.TypeOf(value)
	defs := map[string]any{}
	a.walk(top, map[reflect.Type]bool{}, func(t reflect.Type) {
		if t != top {
			defs[t.Name()] = a.object(t)
		}
	})
	out := map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": id, "title": title, "$defs": defs}
	maps.Copy(out, a.object(top))
	return out
}

func (a About) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, f := range fields(t) {
		f = a.with(t, f)
		s := schemaOf(f)
		if f.about != "" {
			s["description"] = f.about
		}
		if f.fallback != "" {
			s["default"] = typed(s["type"], f.fallback)
		}
		properties[f.name] = s
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// typed is a default as JSON writes values of the type.
func typed(kind any, text string) any {
	switch kind {
	case "integer", "number":
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			return x
		}
	case "boolean":
		return text == "true"
	}
	return text
}

func schemaOf(f field) map[string]any {
	t := f.kind
	switch {
	case isScalar(t):
		return scalarSchema(f)
	case t.Kind() == reflect.Pointer:
		f.kind = t.Elem()
		return schemaOf(f)
	case t.Kind() == reflect.Slice:
		f.kind = t.Elem()
		one := schemaOf(f)
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one}}}
	case t.Kind() == reflect.Map:
		f.kind = t.Elem()
		return map[string]any{"type": "object", "additionalProperties": schemaOf(f)}
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func scalarSchema(f field) map[string]any {
	t := f.kind
	switch {
	case choices(f) != nil:
		all := slices.Clone(choices(f))
		slices.Sort(all)
		return map[string]any{"enum": all}
	case isDuration(t):
		return map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	case isText(t):
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.String: // a number will do as a text
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	}
	s := map[string]any{"type": "number"}
	if t.Kind() != reflect.Float64 {
		s["type"] = "integer"
	}
	for name, bound := range map[string]string{"minimum": f.min, "maximum": f.max} {
		var x int64
		if _, err := fmt.Sscan(bound, &x); err == nil {
			s[name] = x
		}
	}
	return s
}

// Names are the keys of the value's structure.
func Names(value any) []string { return names(fields(reflect.TypeOf(value))) }

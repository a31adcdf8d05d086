package api

import (
	"encoding"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Description describes the API in OpenAPI 3.1, made of the table of routes and of the
// tags of the documents. It is committed as docs/openapi.json.
func Description() map[string]any {
	schemas, paths := schemas{}, map[string]any{}
	for _, r := range routes {
		path, _ := paths[Version+r.path].(map[string]any)
		if path == nil {
			path = map[string]any{}
			if strings.Contains(r.path, "{id}") {
				path["parameters"] = []any{map[string]any{
					"name": "id", "in": "path", "required": true, "description": "as the list has it",
					"schema": map[string]any{"type": "string"},
				}}
			}
			paths[Version+r.path] = path
		}
		path[strings.ToLower(r.method)] = operation(r, schemas)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "EVS director", "version": "v1",
			"summary":     "what a running director does, and what operators say to it",
			"description": "By the Unix socket /run/evs/director.sock: the configured group may read, root may write. By TLS, where the director's file has a listener: a client certificate may read, those that api.tls.writers names may write. Within v1 fields are added, never renamed, removed or given another meaning.",
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []any{map[string]any{"url": "http://localhost", "description": "the host does not matter on the socket"}},
		"paths":      paths,
		"components": map[string]any{"schemas": map[string]any(schemas)},
	}
}

func operation(r route, all schemas) map[string]any {
	good := map[string]any{"description": http.StatusText(r.status)}
	if r.gives != nil {
		good["content"] = content("application/json", all.of(reflect.TypeOf(r.gives)))
	}
	op := map[string]any{
		"operationId": r.name, "summary": r.about,
		"responses": map[string]any{
			strconv.Itoa(r.status): good,
			"default": map[string]any{
				"description": "a problem (RFC 9457)",
				"content":     content(problemType, all.of(reflect.TypeOf(Problem{}))),
			},
		},
	}
	if r.takes != nil {
		op["requestBody"] = map[string]any{"required": true, "content": content("application/json", all.of(reflect.TypeOf(r.takes)))}
	}
	return op
}

func content(kind string, schema map[string]any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": schema}}
}

// schemas are those of the structures by their names.
type schemas map[string]any

var (
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the schema of a type; a structure's is put into the table.
func (all schemas) of(t reflect.Type) map[string]any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return all.of(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": all.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Struct:
		if _, there := all[t.Name()]; !there {
			all[t.Name()] = nil // it is being made
			all[t.Name()] = all.object(t)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	return map[string]any{"type": "integer"}
}

// object is the schema of a structure.
func (all schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	each(t, func(name string, optional bool, f reflect.StructField) {
		s := all.of(f.Type)
		if about := f.Tag.Get("about"); about != "" {
			s["description"] = about
		}
		if one := strings.Fields(f.Tag.Get("one")); len(one) > 0 {
			s["enum"] = one
		}
		if least, err := strconv.Atoi(f.Tag.Get("min")); err == nil {
			s["minimum"] = least
		}
		properties[name] = s
		if !optional {
			required = append(required, name)
		}
	})
	s := map[string]any{"type": "object", "properties": properties, "required": required}
	if strings.HasSuffix(t.Name(), "Request") { // what is not known there is refused
		s["additionalProperties"] = false
	}
	return s
}

// each calls do with the fields of a structure as encoding/json has them.
func each(t reflect.Type, do func(name string, optional bool, f reflect.StructField)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			each(f.Type, do)
		case f.IsExported() && name != "-" && name != "":
			do(name, strings.HasPrefix(options, "omit"), f)
		}
	}
}

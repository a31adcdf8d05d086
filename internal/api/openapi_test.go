package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

func described(t *testing.T) (text []byte, doc map[string]any) {
	t.Helper()
	text, err := json.MarshalIndent(Description(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return append(text, '\n'), doc
}

func TestTheCommittedDescriptionIsThatOfTheProgram(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "openapi.json")
	text, _ := described(t)
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(was) != string(text) {
		t.Error("docs/openapi.json is of another program: go test ./internal/api -run Description -update")
	}
}

// at follows a path of keys.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// matches says in what a value is not as its schema has it.
func matches(doc map[string]any, schema any, value any, where string) (wrong []string) {
	s, _ := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		target := at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		if target == nil {
			return []string{where + ": " + ref + " leads nowhere"}
		}
		return matches(doc, target, value, where)
	}
	kind := map[string]func(any) bool{
		"object":  func(v any) bool { _, ok := v.(map[string]any); return ok },
		"array":   func(v any) bool { _, ok := v.([]any); return ok },
		"string":  func(v any) bool { _, ok := v.(string); return ok },
		"boolean": func(v any) bool { _, ok := v.(bool); return ok },
		"number":  func(v any) bool { _, ok := v.(float64); return ok },
		"integer": func(v any) bool { f, ok := v.(float64); return ok && f == float64(int64(f)) },
	}[fmt.Sprint(s["type"])]
	if kind == nil || !kind(value) {
		return []string{fmt.Sprintf("%s: %v is no %v", where, value, s["type"])}
	}
	if one, ok := s["enum"].([]any); ok && !slices.Contains(one, value) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", where, value, one))
	}
	if list, ok := value.([]any); ok {
		for i, v := range list {
			wrong = append(wrong, matches(doc, s["items"], v, fmt.Sprintf("%s[%d]", where, i))...)
		}
	}
	properties, ok := s["properties"].(map[string]any)
	if !ok {
		return wrong
	}
	object := value.(map[string]any)
	for name, v := range object {
		if properties[name] == nil {
			wrong = append(wrong, where+"."+name+" is not described")
			continue
		}
		wrong = append(wrong, matches(doc, properties[name], v, where+"."+name)...)
	}
	for _, name := range s["required"].([]any) {
		if _, there := object[name.(string)]; !there {
			wrong = append(wrong, fmt.Sprintf("%s.%v is not there", where, name))
		}
	}
	return wrong
}

func TestAnswersAreAsDescribed(t *testing.T) {
	h := serving(t, nil)
	_, doc := described(t)
	c := h.client(t)
	bodies := map[string]string{
		"drain":    `{"server":"192.0.2.2","service":"TCP 203.0.113.10:80","for":"1m"}`,
		"override": `{"server":"192.0.2.3","weight":1,"state":"up","for":"1m","why":"a try"}`,
	}
	ask := func(r route, id, body string) {
		t.Helper()
		path := strings.Replace(Version+r.path, "{id}", id, 1)
		req, err := http.NewRequestWithContext(t.Context(), r.method, "http://localhost"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		answer, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		responses := at(doc, "paths", Version+r.path, strings.ToLower(r.method), "responses")
		kind, described := "application/json", at(responses, fmt.Sprint(answer.StatusCode))
		if described == nil {
			kind, described = problemType, at(responses, "default")
		}
		schema := at(described, "content", kind, "schema")
		if schema == nil {
			if answer.StatusCode != http.StatusNoContent {
				t.Errorf("%s is answered with %s, which is not described", r.name, answer.Status)
			}
			return
		}
		var value any
		if err := json.NewDecoder(answer.Body).Decode(&value); err != nil {
			t.Fatal(r.name, err)
		}
		for _, wrong := range matches(doc, schema, value, r.name) {
			t.Error(wrong)
		}
	}
	for _, name := range []string{"drain", "override"} { // so that there are such
		ask(routeOf(name), "", bodies[name])
	}
	for _, r := range routes {
		ask(r, "1", bodies[r.name])
		ask(r, "99", "{}")
	}
}

func TestEveryDocumentIsExplained(t *testing.T) {
	_, doc := described(t)
	all := at(doc, "components", "schemas").(map[string]any)
	for name, s := range all {
		for field, of := range at(s, "properties").(map[string]any) {
			if at(of, "description") == nil {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
	}
}

func TestNoTwoDocumentsHaveOneName(t *testing.T) {
	names := map[string]reflect.Type{}
	var walk func(reflect.Type)
	walk = func(rt reflect.Type) {
		for rt.Kind() == reflect.Pointer || rt.Kind() == reflect.Slice {
			rt = rt.Elem()
		}
		if rt.Kind() != reflect.Struct || rt == timeType || rt.Implements(textType) || names[rt.Name()] == rt {
			return
		}
		if other := names[rt.Name()]; other != nil {
			t.Errorf("%v and %v", rt, other)
		}
		names[rt.Name()] = rt
		each(rt, func(_ string, _ bool, f reflect.StructField) { walk(f.Type) })
	}
	operations := map[string]bool{}
	for _, r := range routes {
		if operations[r.name] {
			t.Errorf("two operations are called %s", r.name)
		}
		operations[r.name] = true
		for _, v := range []any{r.takes, r.gives} {
			if v != nil {
				walk(reflect.TypeOf(v))
			}
		}
	}
}

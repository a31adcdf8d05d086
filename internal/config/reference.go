package config

import (
	"encoding/json"
	"reflect"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
)

// about explains what is not this package's: docs/checks.md is the page of checks.
var about = document.About{reflect.TypeFor[health.Spec](): {"kind": {About: "what is asked, see docs/checks.md", One: kindNames()}}}

func kindNames() []string {
	names := make([]string, len(health.Kinds))
	for i, k := range health.Kinds {
		names[i] = k.Name
	}
	return names
}

// Schema is the JSON Schema of director's files.
func Schema() ([]byte, error) {
	schema := about.Schema("https://github.com/evs-project/evs/blob/main/docs/evs.schema.json", "The director's file of EVS", Desired{})
	text, err := json.MarshalIndent(schema, "", "  ")
	return append(text, '\n'), err
}

// Reference are the keys of director's files, a table for each kind of mapping.
// Those of checks have a page of their own.
func Reference() []document.Table { return about.Tables(Desired{}) }

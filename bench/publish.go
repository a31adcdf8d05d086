package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/evs-project/evs/bench/report"
)

// publish keeps a part in the directory, as data and as pictures, and makes the report
// anew of what is there: each part as it was measured last.
func publish(p report.Part, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, p.Name+".json"), p); err != nil {
		return err
	}
	for i, c := range p.Charts {
		if err := os.WriteFile(filepath.Join(dir, p.Picture(i)), []byte(c.SVG()), 0o644); err != nil {
			return err
		}
	}
	parts, err := published(dir)
	if err != nil {
		return err
	}
	page := "# What EVS costs\n\nMade by `make bench`; docs/performance.md says what the figures mean.\n"
	for _, part := range parts {
		page += "\n" + part.Markdown()
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "report.md"), []byte(page), 0o644),
		writeJSON(filepath.Join(dir, "report.json"), struct {
			Parts []report.Part `json:"parts"`
		}{parts}))
}

// published reads the parts that a directory has, in the order of the report.
func published(dir string) (parts []report.Part, err error) {
	for _, name := range partNames() {
		text, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var p report.Part
		if err := json.Unmarshal(text, &p); err != nil {
			return nil, fmt.Errorf("%s.json is not what this benchmark writes; remove it: %w", name, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

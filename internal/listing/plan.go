package listing

import (
	"cmp"
	"fmt"
	"io"
)

// KindPlan is the kind of the document of what would change.
const KindPlan = "Plan"

// Plan is what has to change for a table to be what is wanted, in the order in
// which it would.
type Plan struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Changes    []PlanChange `json:"changes"`
}

// PlanChange is one difference.
type PlanChange struct {
	What        string   `json:"what"`
	Op          string   `json:"op"`
	Service     string   `json:"service,omitempty"`
	Name        string   `json:"name,omitempty"`
	From        string   `json:"from,omitempty"`
	To          string   `json:"to,omitempty"`
	Connections int      `json:"connections"`
	Moved       *float64 `json:"clientsMoved,omitempty"`
}

// NewPlan makes a document of changes.
func NewPlan(changes []PlanChange) Plan {
	return Plan{APIVersion: APIVersion, Kind: KindPlan, Changes: append([]PlanChange{}, changes...)}
}

var planColumns = []column[PlanChange]{
	{"CHANGE", false, func(c PlanChange) any { return c.Op + " " + c.What }},
	{"SERVICE", false, func(c PlanChange) any { return cmp.Or(c.Service, "-") }},
	{"NAME", false, func(c PlanChange) any { return cmp.Or(c.Name, "-") }},
	{"FROM", false, func(c PlanChange) any { return cmp.Or(c.From, "-") }},
	{"TO", false, func(c PlanChange) any { return cmp.Or(c.To, "-") }},
	{"CONNECTIONS", false, func(c PlanChange) any { return c.Connections }},
	{"CLIENTS MOVED", false, func(c PlanChange) any {
		if c.Moved == nil {
			return "-"
		}
		return fmt.Sprintf("%.1f%%", *c.Moved*100)
	}},
}

// WritePlan writes a row for each change, or the whole document.
func WritePlan(w io.Writer, doc Plan, f Format) error {
	return write(w, doc, f, planColumns, func(yield func(PlanChange, error) bool) {
		for _, c := range doc.Changes {
			if !yield(c, nil) {
				return
			}
		}
	})
}

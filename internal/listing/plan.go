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
	APIVersion string       `json:"apiVersion" about:"evs/v1"`
	Kind       string       `json:"kind" about:"Plan"`
	Changes    []PlanChange `json:"changes" about:"in the order in which they would be made"`
}

// PlanChange is one difference.
type PlanChange struct {
	What        string   `json:"what" about:"setting, timeout, service, destination, mark or interface"`
	Op          string   `json:"op" about:"add, edit, remove, reorder; weight for an edit of nothing but a weight"`
	Service     string   `json:"service,omitempty" about:"TCP 203.0.113.10:80, FWM 7; if it belongs to one"`
	Name        string   `json:"name,omitempty" about:"of the destination, setting, timeout or interface, or the packets that a rule of marks is about"`
	From        string   `json:"from,omitempty" about:"what differs, before"`
	To          string   `json:"to,omitempty" about:"what differs, after"`
	Connections int      `json:"connections" about:"live connections of what the change is about"`
	Moved       *float64 `json:"clientsMoved,omitempty" about:"from 0 to 1, the share of clients that all changes of the service send to another server; if its scheduler hashes"`
}

// NewPlan makes a document of changes.
func NewPlan(changes []PlanChange) Plan {
	return Plan{APIVersion: APIVersion, Kind: KindPlan, Changes: append([]PlanChange{}, changes...)}
}

var planColumns = []Column[PlanChange]{
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
	return WriteRows(w, doc, f, planColumns, doc.Changes)
}

package listing

import (
	"cmp"
	"io"
	"strings"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// KindMarks is the kind of the document of the rules of marks.
const KindMarks = "Marks"

// Marks are the rules of marks, in the order in which they are tried.
type Marks struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Marks      []Mark `json:"marks"`
}

// Mark is a rule that gives packets a firewall mark.
type Mark struct {
	Destination string   `json:"destination"`
	Source      string   `json:"source,omitempty"`
	Protocol    string   `json:"protocol,omitempty"`
	Ports       []string `json:"ports"`
	Mark        uint32   `json:"mark"`
}

// NewMarks makes a document of rules.
func NewMarks(rules []ipvs.MarkRule) Marks {
	doc := Marks{APIVersion: APIVersion, Kind: KindMarks, Marks: make([]Mark, 0, len(rules))}
	for _, r := range rules {
		m := Mark{Destination: r.Destination.String(), Ports: options.PortRanges(r.Ports), Mark: r.Mark}
		if r.Source.IsValid() {
			m.Source = r.Source.String()
		}
		if r.Protocol != 0 {
			m.Protocol = options.ProtocolName(r.Protocol)
		}
		doc.Marks = append(doc.Marks, m)
	}
	return doc
}

var markColumns = []Column[Mark]{
	{"DESTINATION", false, func(m Mark) any { return m.Destination }},
	{"SOURCE", false, func(m Mark) any { return cmp.Or(m.Source, "any") }},
	{"PROTOCOL", false, func(m Mark) any { return cmp.Or(m.Protocol, "any") }},
	{"PORTS", false, func(m Mark) any { return cmp.Or(strings.Join(m.Ports, ","), "any") }},
	{"MARK", false, func(m Mark) any { return m.Mark }},
}

// WriteMarks writes a row for each rule, or the whole document.
func WriteMarks(w io.Writer, doc Marks, f Format) error {
	return WriteRows(w, doc, f, markColumns, doc.Marks)
}

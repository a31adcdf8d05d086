// Package doctor judges whether a host is in order as a director or as a real
// server. Each check is a row of a table: a pure function from facts to findings,
// and each finding names its cure. Collecting the facts is read-only; on a link
// it asks who has an address, as any host does, and claims nothing.
//
// The package changes nothing, ever: the cures are for a person to run.
package doctor

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Finding is one thing that is wrong, with its cure.
type Finding struct {
	Check   string `json:"check"`   // the name of the row that found it
	Subject string `json:"subject"` // the VIP, interface, server or port concerned
	Problem string `json:"problem"`
	Cure    string `json:"cure"` // one line: a command, or what to do
}

// Diagnosis is the whole of what was found.
type Diagnosis struct {
	// Role is "director" or "real server".
	Role string `json:"role"`
	// Checks are the names of the checks that were made.
	Checks   []string  `json:"checks"`
	Findings []Finding `json:"findings"`
	// Notes are worth knowing, and no fault.
	Notes []string `json:"notes"`
}

// check is a row of a table of checks on facts of type F.
type check[F any] struct {
	name, about string
	find        func(F) []Finding
}

// judge makes all the checks. Findings are in the order of the table.
func judge[F any](role string, table []check[F], facts F) Diagnosis {
	d := Diagnosis{Role: role, Findings: []Finding{}, Notes: []string{}}
	for _, c := range table {
		d.Checks = append(d.Checks, c.name)
		for _, f := range c.find(facts) {
			f.Check = c.name
			d.Findings = append(d.Findings, f)
		}
	}
	return d
}

// about lists the checks of a table with what each looks for, for a manual.
func about[F any](table []check[F]) string {
	var b strings.Builder
	for _, c := range table {
		fmt.Fprintf(&b, "    %-18s %s\n", c.name, c.about)
	}
	return b.String()
}

// ServerChecks lists the checks of a real server, one a line.
func ServerChecks() string { return about(serverChecks) }

// DirectorChecks lists those of a director.
func DirectorChecks() string { return about(directorChecks) }

// Print writes a diagnosis for people.
func (d Diagnosis) Print(w io.Writer) {
	for _, f := range d.Findings {
		fmt.Fprintf(w, "%s: %s: %s\n    cure: %s\n", f.Check, f.Subject, f.Problem, f.Cure)
	}
	for _, note := range d.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	if len(d.Findings) == 0 {
		fmt.Fprintf(w, "%s: nothing wrong (%d checks)\n", d.Role, len(d.Checks))
	}
}

// one is a finding by itself.
func one(subject any, cure, problem string, args ...any) []Finding {
	return []Finding{{Subject: fmt.Sprint(subject), Problem: fmt.Sprintf(problem, args...), Cure: cure}}
}

// ip is the ip command for addresses like a.
func ip(a netip.Addr) string {
	if a.Is6() {
		return "ip -6"
	}
	return "ip"
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

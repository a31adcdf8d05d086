// Package convert makes a director's file of what other programs read: rules of
// ipvsadm, keepalived.conf and ldirectord.cf. What has no counterpart is told
// line by line, with the reason; nothing is left out in silence.
//
// For each language a table has a row for every directive of its manual: how it
// is converted, or why not. The package reads and writes text, and never looks
// at a virtual server table.
package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/ipvs"
)

// Note is a line that has no counterpart, or not quite.
type Note struct {
	File   string
	Line   int
	What   string // the directive
	Reason string
}

// String says where, what and why.
func (n Note) String() string {
	if n.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", n.File, n.What, n.Reason)
	}
	return fmt.Sprintf("%s:%d: %s: %s", n.File, n.Line, n.What, n.Reason)
}

// Result is what a file was converted to.
type Result struct {
	// Text is the director's file, and Desired what it says.
	Text    []byte
	Desired *config.Desired
	Notes   []Note
}

// Options are what converting depends on.
type Options struct {
	// Files is where the file and those it includes are read from.
	Files config.Files
	// Names resolves names of hosts and ports.
	Names Names
	// ConfigID chooses the lines of keepalived.conf that begin with @.
	ConfigID string
}

// Languages are those that can be converted, by name.
var Languages = []string{"ipvsadm", "keepalived", "ldirectord"}

var languages = map[string]func(name, text string, o Options) (*config.Desired, []Note, error){
	"ipvsadm": fromRules, "keepalived": fromKeepalived, "ldirectord": fromLdirectord,
}

// Convert reads a file in one of the languages, or "auto" to tell by what it says.
func Convert(language, name string, o Options) (Result, error) {
	text, err := o.Files.ReadFile(name)
	if err != nil {
		return Result{}, err
	}
	if language == "auto" {
		if language, err = guess(string(text)); err != nil {
			return Result{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	read, ok := languages[language]
	if !ok {
		return Result{}, fmt.Errorf("there is no language %q: choose one of %s", language, strings.Join(Languages, ", "))
	}
	d, notes, err := read(name, string(text), o)
	if err != nil {
		return Result{}, err
	}
	return finish(name, d, notes)
}

// finish writes the file, and reads it again: a service that is refused is left
// out, and told.
func finish(name string, d *config.Desired, notes []Note) (Result, error) {
	notes = append(notes, takeOnce(name, d)...)
	var files []string
	for _, n := range notes {
		files = append(files, n.File)
	}
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(slices.Index(files, a.File)-slices.Index(files, b.File), a.Line-b.Line)
	})
	for {
		text, err := config.Write(*d)
		if err != nil {
			return Result{}, err
		}
		again, wrong := config.Load("the result", only{name, text})
		if len(wrong) == 0 {
			return Result{text, again, notes}, nil
		}
		more := dropServices(name, d, wrong)
		if notes = append(notes, more...); len(more) == 0 {
			return Result{Text: text, Notes: notes}, fmt.Errorf("what comes of %s is refused:\n%w", name, wrong)
		}
	}
}

// dropServices leaves out the services that are wrong, and tells why.
func dropServices(name string, d *config.Desired, wrong document.Problems) (notes []Note) {
	bad := map[int]bool{}
	for _, w := range wrong {
		var i int
		if _, err := fmt.Sscanf(w.Key, "services[%d]", &i); err != nil || i >= len(d.Services) {
			continue
		}
		bad[i] = true
		what := cmp.Or(d.Services[i].Name, d.Services[i].Keys()[0].String())
		notes = append(notes, Note{name, 0, what, "the service is left out: " + w.Key + ": " + w.Reason})
	}
	var kept []config.Service
	for i, s := range d.Services {
		if !bad[i] {
			kept = append(kept, s)
		}
	}
	d.Services = kept
	return notes
}

// takeOnce leaves out addresses and marks that another service has already, and
// services of which nothing stays.
func takeOnce(name string, d *config.Desired) (notes []Note) {
	taken := map[ipvs.ServiceKey]bool{}
	again := func(k ipvs.ServiceKey) bool {
		if taken[k] {
			notes = append(notes, Note{name, 0, k.String(), "a service has it already: it is left out where it stands again"})
			return true
		}
		taken[k] = true
		return false
	}
	at := func(p ipvs.Protocol) func(netip.AddrPort) bool {
		return func(a netip.AddrPort) bool { return again(ipvs.ServiceAt(p, a)) }
	}
	var kept []config.Service
	for _, s := range d.Services {
		family := ipvs.IPv4
		if s.Family == config.IPv6 {
			family = ipvs.IPv6
		}
		s.TCP = slices.DeleteFunc(slices.Clone(s.TCP), at(ipvs.TCP))
		s.UDP = slices.DeleteFunc(slices.Clone(s.UDP), at(ipvs.UDP))
		s.SCTP = slices.DeleteFunc(slices.Clone(s.SCTP), at(ipvs.SCTP))
		s.FWMark = slices.DeleteFunc(slices.Clone(s.FWMark), func(m uint32) bool { return again(ipvs.ServiceMark(m, family)) })
		if len(s.Keys()) > 0 {
			kept = append(kept, s)
		}
	}
	d.Services = kept
	return notes
}

// only is a single file.
type only struct {
	name string
	text []byte
}

func (o only) ReadFile(string) ([]byte, error) { return o.text, nil }
func (o only) Glob(string) ([]string, error)   { return nil, nil }

// guess tells the language of a text by its first words.
func guess(text string) (string, error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], "!") {
			continue
		}
		first, _, _ := strings.Cut(words[0], "=")
		switch {
		case strings.HasPrefix(first, "-"), strings.HasSuffix(first, "ipvsadm"):
			return "ipvsadm", nil
		case ldirectord[first].reason != "" || ldirectord[first].convert != nil:
			if strings.Contains(line, "=") {
				return "ldirectord", nil
			}
		}
		return "keepalived", nil
	}
	return "", fmt.Errorf("nothing is in it: name the language with --from %s", strings.Join(Languages, "|"))
}

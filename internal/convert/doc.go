// Package convert makes a director's file of what other programs read: rules of
// ipvsadm, keepalived.conf and ldirectord.cf. What has no counterpart is told
// line by line, with the reason; nothing is left out in silence.
//
// For each language a table has a row for every directive of its manual: how it
// is converted, or why not. The package reads and writes text, and never looks
// at a virtual server table.
package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/config"
)

// Note is a line that has no counterpart, or not quite.
type Note struct {
	File   string
	Line   int
	What   string // the directive
	Reason string
}

// String says where, what and why.
func (n Note) String() string { return fmt.Sprintf("%s:%d: %s: %s", n.File, n.Line, n.What, n.Reason) }

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

// finish writes the file, and reads it again: what cannot be is noted, where it
// can be told in the terms of what was written.
func finish(name string, d *config.Desired, notes []Note) (Result, error) {
	slices.SortStableFunc(notes, func(a, b Note) int {
		if a.File != b.File {
			return 0
		}
		return a.Line - b.Line
	})
	text, err := config.Write(*d)
	if err != nil {
		return Result{}, err
	}
	again, wrong := config.Load(name, only{name, text})
	if len(wrong) > 0 {
		for _, w := range wrong {
			notes = append(notes, Note{"converted " + w.File, w.Line, w.Key, w.Reason})
		}
		again = d
	}
	return Result{text, again, notes}, nil
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

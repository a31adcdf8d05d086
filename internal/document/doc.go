// Package document reads YAML into Go structures by their tags, and shows how
// they are written. It collects everything that is wrong with a file, each with
// its place and the remedy, rather than stopping at the first. The same tags
// give the default values, the JSON Schema and the reference: what is read,
// checked and documented is one table.
//
// A field's tags are
//
//	json:"name"       the key; ",inline" for the keys of an embedded structure
//	about:"sentence"  what it means
//	default:"text"    its value where a file does not name it, as in a file
//	min:"1" max:"9"   the range of a number or a duration
//	one:"a b c"       the words that a text may be
//	inherits:"where"  where its value comes from if a file does not name it
//
// The package knows nothing of what the documents are about.
package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a place in a file. The first line and the first column are 1.
type Place struct {
	File         string
	Line, Column int
}

// String writes it as editors read it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	Place
	Key    string // as services[2].quorum; "" for the file as a whole
	Reason string // what is wrong, and the remedy
}

// Error says where, what and the remedy.
func (p Problem) Error() string {
	if p.Key == "" {
		return fmt.Sprintf("%s: %s", p.Place, p.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", p.Place, p.Key, p.Reason)
}

// Problems are all that is wrong, in the order of the files.
type Problems []Problem

// Error lists them, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Reader reads files and remembers where each value stood.
type Reader struct {
	problems Problems
	files    []string
	at       map[any]spot   // by pointer to the value
	named    map[spot]Place // by file and key
	left     int            // nodes that may still be read
}

type spot struct {
	Place
	key string
}

// maxNodes bounds what aliases can multiply a file to.
const maxNodes = 1 << 19

// NewReader returns a Reader that has read nothing.
func NewReader() *Reader {
	return &Reader{at: map[any]spot{}, named: map[spot]Place{}, left: maxNodes}
}

// Given reports whether a file named the value that the pointer points to.
func (r *Reader) Given(pointer any) bool { _, ok := r.at[pointer]; return ok }

// At returns the place of the first of the values that a file named.
func (r *Reader) At(pointers ...any) Place {
	for _, p := range pointers {
		if s, ok := r.at[p]; ok {
			return s.Place
		}
	}
	return Place{}
}

// Wrong reports what is wrong with a value, or, if no file named it, with the
// first of those behind it that one did: its structure, and so on.
func (r *Reader) Wrong(reason string, pointers ...any) {
	var at spot
	for _, p := range pointers {
		if s, ok := r.at[p]; ok {
			at = s
			break
		}
	}
	r.problems = append(r.problems, Problem{at.Place, at.key, reason})
}

// WrongIn reports what is wrong with the value of a key below the one that the
// first of the pointers has a place of.
func (r *Reader) WrongIn(below, reason string, pointers ...any) {
	for _, p := range pointers {
		s, ok := r.at[p]
		if !ok {
			continue
		}
		key := join(s.key, below)
		at, ok := r.named[spot{Place{File: s.File}, key}]
		if !ok {
			at = s.Place
		}
		r.Report(Problem{at, key, reason})
		return
	}
	r.Report(Problem{Key: below, Reason: reason})
}

// note remembers where a value stands.
func (r *Reader) note(pointer any, at Place, key string) {
	r.at[pointer] = spot{at, key}
	r.named[spot{Place{File: at.File}, key}] = at
}

// Report adds what is wrong outside the values.
func (r *Reader) Report(p Problem) { r.problems = append(r.problems, p) }

// Problems returns all that was wrong so far, nil for nothing.
func (r *Reader) Problems() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(r.files, a.File), slices.Index(r.files, b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	r.problems = slices.Compact(r.problems)
	return r.problems
}

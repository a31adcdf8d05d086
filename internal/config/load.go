package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
)

// DefaultFile is where the director's file is.
const DefaultFile = "/etc/evs/evs.yaml"

// maxFiles is how many files one can include.
const maxFiles = 1000

// Files is where files are read from.
type Files interface {
	ReadFile(name string) ([]byte, error)
	// Glob returns the names that match a pattern of filepath.Match, sorted.
	Glob(pattern string) ([]string, error)
}

// Disk are the files of this machine.
type Disk struct{}

// ReadFile reads a file.
func (Disk) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// Glob looks for files.
func (Disk) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// Load reads a director's file and what it includes. Either nothing is wrong with
// them, or the problems are all that is.
func Load(name string, files Files) (*Desired, document.Problems) {
	l := &loader{Reader: document.NewReader(), files: files, seen: map[string]bool{}, left: maxFiles}
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, document.Problems{{Place: document.Place{File: name}, Reason: err.Error()}}
	}
	l.read(name, text, nil)
	c := &checking{Reader: l.Reader, parts: l.parts}
	c.check()
	if wrong := l.Problems(); len(wrong) > 0 {
		return nil, wrong
	}
	return l.whole(), nil
}

// loader reads files, each into a part of its own: places are kept by pointer, so
// what was read has to stay where it is until all is checked.
type loader struct {
	*document.Reader
	files Files
	seen  map[string]bool
	names []string
	left  int // files that may still be included
	parts []*Desired
}

func (l *loader) read(name string, text []byte, above *Desired) {
	part := &Desired{}
	document.Defaults(part)
	if above != nil {
		part.Defaults = above.Defaults
	}
	l.seen[name], l.names = true, append(l.names, name)
	l.parts = append(l.parts, part)
	l.Read(name, text, part)
	for i := range part.Include {
		l.include(name, part, &part.Include[i])
	}
}

// include reads the files that match a pattern. One that names a file without
// wildcards has to find it.
func (l *loader) include(from string, part *Desired, pattern *string) {
	path := *pattern
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	names, err := l.files.Glob(path)
	switch {
	case err != nil:
		l.Wrong(fmt.Sprintf("%q is no pattern of file names: write it as conf.d/*.yaml", *pattern), pattern, &part.Include)
	case len(names) == 0 && !hasWildcard(path):
		l.Wrong(fmt.Sprintf("there is no file %s: create it, or take it out of the list", path), pattern, &part.Include)
	}
	for _, name := range names {
		if l.left--; l.left < 0 {
			l.Wrong(fmt.Sprintf("more than %d files are included: put some together", maxFiles), pattern, &part.Include)
			return
		}
		if l.seen[name] {
			l.Wrong(fmt.Sprintf("%s is read already: a file may be included once", name), pattern, &part.Include)
			continue
		}
		text, err := l.files.ReadFile(name)
		if err != nil {
			l.Wrong(err.Error(), pattern, &part.Include)
			continue
		}
		l.read(name, text, part)
	}
}

func hasWildcard(path string) bool {
	return slices.ContainsFunc([]rune(path), func(r rune) bool { return r == '*' || r == '?' || r == '[' })
}

// whole puts the parts together. That they do not contradict each other is
// checked.
func (l *loader) whole() *Desired {
	all := l.parts[0]
	for _, part := range l.parts[1:] {
		all.Interfaces = merged(all.Interfaces, part.Interfaces)
		all.Settings = merged(all.Settings, part.Settings)
		all.Marks = append(all.Marks, part.Marks...)
		all.Services = append(all.Services, part.Services...)
	}
	all.Include, all.Defaults = nil, Pool{} // both have done their part
	all.Files = l.names
	return all
}

func merged[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]V{}
	}
	maps.Copy(out, b)
	return out
}

// Prototype is what a service begins from.
func (d *Desired) Prototype(field string, _ map[string]string) any {
	if field == "services" {
		return Service{Family: IPv4, Pool: d.Defaults}
	}
	return nil
}

// Prototype is what a destination, or a check, begins from.
func (s *Service) Prototype(field string, given map[string]string) any {
	if field == "destinations" {
		return Destination{Server: s.Server}
	}
	return s.checkLike(field, given)
}

// Prototype is what a check begins from.
func (p *Pool) Prototype(field string, given map[string]string) any {
	return p.checkLike(field, given)
}

// Prototype is what a check begins from.
func (d *Destination) Prototype(field string, given map[string]string) any {
	return d.checkLike(field, given)
}

// checkLike gives a check what the one that it takes the place of says, as far as
// it means the same to it.
func (s *Server) checkLike(field string, given map[string]string) any {
	if field != "check" || len(s.Check) != 1 {
		return nil
	}
	like, kind := s.Check[0], given["kind"]
	if kind == "" || kind == like.Kind || like.Kind == "" {
		return like
	}
	was := like
	like = health.Spec{}
	like.Interval, like.RetryInterval, like.Jitter, like.Warmup = was.Interval, was.RetryInterval, was.Jitter, was.Warmup
	like.Timeout, like.Rise, like.Fall, like.Start = was.Timeout, was.Rise, was.Fall, was.Start
	return like
}

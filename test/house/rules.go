package house

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The lengths beyond which a file holds more than one concern.
const (
	maxGoLines  = 450
	maxBPFLines = 300
)

const spdx = "SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)"

// A rule returns one sentence for each breach it finds.
type rule struct {
	name   string
	breach func([]file) []string
}

var rules = []rule{
	{"every package has a floor", floorless},
	{"imports point down", upward},
	{"the ground floor stands on nothing of ours", grounded},
	{"kept modules are imported by their keepers alone", trespass},
	{"every package has a comment", uncommented},
	{"no Go file is too long", longGo},
	{"no BPF file is too long", longBPF},
	{"every BPF file carries its licence", unlicensed},
	{"no file names a place on someone's machine", machinePaths},
	{"every dependency is explained", unexplained},
	{"links in documents lead somewhere", deadLinks},
}

func floorless(files []file) []string {
	var out []string
	for _, dir := range packages(files) {
		if floorOf(dir) < 0 {
			out = append(out, fmt.Sprintf("%s is on no floor: add it to a row of floors in test/house/floors.go", dir))
		}
	}
	return out
}

// upward looks at the code alone: a test may stand on a laboratory that stands
// on what it tests.
func upward(files []file) []string {
	return eachImport(files, func(f file, imported string) string {
		room, ours := strings.CutPrefix(imported, module+"/")
		from, to := floorOf(f.dir()), floorOf(room)
		if !ours || from < 0 || to <= from {
			return ""
		}
		return fmt.Sprintf("%s, on the floor %q, imports %s, above it on the floor %q",
			f.path, floors[from].name, room, floors[to].name)
	})
}

func grounded(files []file) []string {
	return eachImport(files, func(f file, imported string) string {
		if floorOf(f.dir()) != 0 || !within(imported, module) {
			return ""
		}
		return fmt.Sprintf("%s is on the ground floor and imports %s", f.path, imported)
	})
}

func trespass(files []file) []string {
	return eachImport(files, func(f file, imported string) string {
		for _, k := range keepers {
			if within(imported, k.imports) && !slices.ContainsFunc(k.rooms, f.in) {
				return fmt.Sprintf("%s imports %s, which is kept by %s", f.path, imported, strings.Join(k.rooms, ", "))
			}
		}
		return ""
	})
}

func uncommented(files []file) []string {
	commented := map[string]bool{}
	for _, f := range files {
		if f.source != nil && f.source.comment != "" && !f.source.generated {
			commented[f.dir()] = true
		}
	}
	var out []string
	for _, dir := range packages(files) {
		if !commented[dir] {
			out = append(out, fmt.Sprintf("%s has no package comment: say what it gives and what it never does", dir))
		}
	}
	return out
}

func longGo(files []file) []string {
	return each(files, func(f file) string {
		if f.source == nil || f.source.generated || f.lines() <= maxGoLines {
			return ""
		}
		return fmt.Sprintf("%s has %d lines, more than %d", f.path, f.lines(), maxGoLines)
	})
}

func longBPF(files []file) []string {
	return each(files, func(f file) string {
		if !f.isBPF() || f.lines() <= maxBPFLines {
			return ""
		}
		return fmt.Sprintf("%s has %d lines, more than %d", f.path, f.lines(), maxBPFLines)
	})
}

func unlicensed(files []file) []string {
	return each(files, func(f file) string {
		first, _, _ := strings.Cut(f.text, "\n")
		if !f.isBPF() || strings.Contains(first, spdx) {
			return ""
		}
		return fmt.Sprintf("%s does not begin with a line that says %s", f.path, spdx)
	})
}

// machinePath finds absolute paths that exist on one machine only.
var machinePath = regexp.MustCompile(`(?:^|[\s"'=(:` + "`" + `])(/(?:work|root|home|Users)/[\w.-]+)`)

func machinePaths(files []file) []string {
	return each(files, func(f file) string {
		found := machinePath.FindStringSubmatch(f.text)
		if found == nil {
			return ""
		}
		return fmt.Sprintf("%s mentions %s, a path on someone's machine", f.path, found[1])
	})
}

// required finds the direct requirements in a go.mod.
var required = regexp.MustCompile(`(?m)^(?:require|\t)\s*([\w-]+\.[\w./-]+) v\S+$`)

func unexplained(files []file) []string {
	explained := ""
	for _, f := range files {
		if f.path == "docs/dependencies.md" {
			explained = f.text
		}
	}
	return eachMatch(files, "go.mod", required, func(_ file, dependency string) string {
		if strings.Contains(explained, strings.TrimPrefix(dependency, "github.com/")) {
			return ""
		}
		return fmt.Sprintf("docs/dependencies.md has no line for %s: say what it is for", dependency)
	})
}

// link finds relative links in Markdown.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)

func deadLinks(files []file) []string {
	return eachMatch(files, ".md", link, func(f file, target string) string {
		leads := path.Join(f.dir(), target)
		if slices.ContainsFunc(files, func(other file) bool { return within(other.path, leads) }) {
			return ""
		}
		return fmt.Sprintf("%s links to %s, which is not there", f.path, target)
	})
}

// packages lists the directories that hold Go files.
func packages(files []file) []string {
	var dirs []string
	for _, f := range files {
		if f.source != nil {
			dirs = append(dirs, f.dir())
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// floorOf is the index of the floor a package is on, or -1.
func floorOf(dir string) int {
	return slices.IndexFunc(floors, func(fl floor) bool {
		return slices.ContainsFunc(fl.rooms, func(room string) bool { return matches(dir, room) })
	})
}

// in reports whether the file is of the room.
func (f file) in(room string) bool { return matches(f.dir(), room) }

// matches reports whether dir is the room, or below a room that ends in /...
func matches(dir, room string) bool {
	if tree, whole := strings.CutSuffix(room, "/..."); whole {
		return within(dir, tree)
	}
	return dir == room
}

// within reports whether the path name is tree or below it.
func within(name, tree string) bool {
	return name == tree || strings.HasPrefix(name, tree+"/")
}

func each(files []file, breach func(file) string) []string {
	var out []string
	for _, f := range files {
		if said := breach(f); said != "" {
			out = append(out, said)
		}
	}
	return out
}

// eachMatch asks about what the pattern finds in files whose path ends so.
func eachMatch(files []file, suffix string, pattern *regexp.Regexp, breach func(f file, found string) string) []string {
	var out []string
	for _, f := range files {
		if !strings.HasSuffix(f.path, suffix) {
			continue
		}
		for _, found := range pattern.FindAllStringSubmatch(f.text, -1) {
			if said := breach(f, found[1]); said != "" {
				out = append(out, said)
			}
		}
	}
	return out
}

// eachImport asks about every import outside tests.
func eachImport(files []file, breach func(f file, imported string) string) []string {
	var out []string
	for _, f := range files {
		if f.source == nil || f.isTest() {
			continue
		}
		for _, imported := range f.source.imports {
			if said := breach(f, imported); said != "" {
				out = append(out, said)
			}
		}
	}
	return out
}

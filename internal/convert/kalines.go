package convert

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kaLine is a line of keepalived.conf after all that its parser replaces.
type kaLine struct {
	file   string
	number int
	text   string
}

// kaReader reads keepalived.conf and what it includes: comments, conditions by
// configuration id, parameters, sequences and lists, as keepalived.conf(5) has
// them under ADVANCED CONFIGURATION.
type kaReader struct {
	o      Options
	params map[string][]string // lines of each parameter
	out    []kaLine
	notes  []Note
	depth  int
	budget int // lines that may still be made
}

// The limits of what a file can be multiplied to.
const (
	maxLines = 200_000
	maxDepth = 64
)

func readKeepalived(name, text string, o Options) ([]kaLine, []Note) {
	r := &kaReader{o: o, params: map[string][]string{}, budget: maxLines}
	r.file(name, text)
	return r.out, r.notes
}

func (r *kaReader) note(l kaLine, what, reason string) {
	r.notes = append(r.notes, Note{l.file, l.number, what, reason})
}

func (r *kaReader) file(name, text string) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		l := kaLine{name, i + 1, strings.TrimSpace(uncomment(lines[i]))}
		if define := definition.FindStringSubmatch(l.condition(r.o.ConfigID)); define != nil && strings.HasSuffix(l.text, `\`) {
			var body []string
			for text := l.text; strings.HasSuffix(text, `\`) && i+1 < len(lines); {
				i++
				text = strings.TrimSpace(uncomment(lines[i]))
				for text == "" && i+1 < len(lines) { // blank lines may stand in between
					i++
					text = strings.TrimSpace(uncomment(lines[i]))
				}
				body = append(body, strings.TrimSpace(strings.TrimSuffix(text, `\`)))
			}
			r.params[define[1]] = body
			continue
		}
		for strings.HasSuffix(l.text, `\`) && i+1 < len(lines) {
			i++
			l.text = strings.TrimSuffix(l.text, `\`) + " " + strings.TrimSpace(uncomment(lines[i]))
		}
		if !r.included(l) {
			r.line(l)
		}
	}
}

// uncomment cuts a line where # or ! stand outside quotes.
func uncomment(line string) string {
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			if strings.IndexByte(line[i+1:], c) >= 0 { // an apostrophe alone quotes nothing
				quote = c
			}
		case c == '#' || c == '!':
			return line[:i]
		}
	}
	return line
}

// condition is the line without its @id, "" if the id is another one.
func (l kaLine) condition(id string) string {
	text := l.text
	for strings.HasPrefix(text, "@") {
		word, rest, _ := strings.Cut(text, " ")
		want, not := strings.CutPrefix(word[1:], "^")
		if (want == id) == not {
			return ""
		}
		text = strings.TrimSpace(rest)
	}
	return text
}

var (
	definition = regexp.MustCompile(`^\$([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)
	parameter  = regexp.MustCompile(`\$\{(_RANDOM[ 0-9]*|[A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)(\s|$)`)
	block      = regexp.MustCompile(`^~(SEQx?|LST)\(([^()]*)\)\s*(.*)$`)
)

// line replaces what is to be replaced in a line, and takes what comes of it.
func (r *kaReader) line(l kaLine) {
	if r.budget--; r.budget <= 0 || r.depth > maxDepth {
		if r.budget == 0 || r.depth > maxDepth {
			r.note(l, l.text, "parameters multiply the file beyond all bounds here; what follows is left out")
			r.budget = min(r.budget, 0)
		}
		return
	}
	r.depth++
	defer func() { r.depth-- }()
	l.text = l.condition(r.o.ConfigID)
	if define := definition.FindStringSubmatch(l.text); define != nil {
		r.params[define[1]] = []string{strings.TrimSpace(define[2])}
		return
	}
	if m := block.FindStringSubmatch(l.text); m != nil {
		r.repeat(l, m[1], m[2], m[3])
		return
	}
	at := r.parameterIn(l.text)
	if at == nil {
		if l.text != "" {
			r.out = append(r.out, l)
		}
		return
	}
	before, name, after := l.text[:at[0]], l.text[at[2]:at[3]], l.text[at[1]:]
	value := r.value(l, name)
	if len(value) == 1 {
		l.text = before + value[0] + after
		r.line(l)
		return
	}
	for i, text := range value { // a value of several lines
		if i == 0 {
			text = before + text
		}
		if i == len(value)-1 {
			text += after
		}
		l.text = strings.TrimSpace(text)
		r.line(l)
	}
}

// parameterIn finds the first parameter that is defined: where it stands, and
// where its name does.
func (r *kaReader) parameterIn(text string) []int {
	for _, m := range parameter.FindAllStringSubmatchIndex(text, -1) {
		at := []int{m[0], m[1], m[2], m[3]}
		if m[2] < 0 { // without braces: what follows stays
			at = []int{m[0], m[5], m[4], m[5]}
		}
		name := text[at[2]:at[3]]
		if _, ok := r.params[name]; ok || predefined(name) {
			return at
		}
	}
	return nil
}

func predefined(name string) bool {
	return slices.Contains([]string{"_PWD", "_INSTANCE", "_HASH", "_BANG"}, name) || strings.HasPrefix(name, "_RANDOM")
}

func (r *kaReader) value(l kaLine, name string) []string {
	if value, ok := r.params[name]; ok {
		return value
	}
	switch name {
	case "_PWD":
		return []string{filepath.Dir(l.file)}
	case "_INSTANCE":
		return []string{r.o.ConfigID}
	case "_HASH":
		return []string{"#"}
	case "_BANG":
		return []string{"!"}
	}
	low := "0"
	if words := strings.Fields(name); len(words) > 1 {
		low = words[1]
	}
	r.note(l, "${"+name+"}", "a file of desired state has no random numbers: "+low+", the least, is taken")
	return []string{low}
}

// repeat takes the rest of the line once for each value.
func (r *kaReader) repeat(l kaLine, kind, args, rest string) {
	names, values, err := sequence(kind, args)
	if err != nil {
		r.note(l, "~"+kind, err.Error())
		return
	}
	for _, of := range values {
		for i, name := range names {
			r.params[name] = []string{of[i]}
		}
		l.text = rest
		r.line(l)
	}
	for _, name := range names {
		delete(r.params, name)
	}
}

// sequence returns the parameters of ~SEQ or ~LST and their values in turn.
func sequence(kind, args string) (names []string, values [][]string, err error) {
	groups := split(args)
	if kind == "LST" {
		if len(groups) < 2 {
			return nil, nil, fmt.Errorf("want ~LST(NAME, VALUE...)")
		}
		for _, g := range groups[1:] {
			if len(g) != len(groups[0]) {
				return nil, nil, fmt.Errorf("%d values stand for %d names", len(g), len(groups[0]))
			}
		}
		return groups[0], groups[1:], nil
	}
	words := slices.Concat(groups...)
	if len(words) < 2 || len(words) > 4 {
		return nil, nil, fmt.Errorf("want ~SEQ(NAME, START, STEP, END), of which START and STEP may be left out")
	}
	n := make([]int64, len(words)-1)
	for i, word := range words[1:] {
		if n[i], err = strconv.ParseInt(word, 0, 32); err != nil {
			return nil, nil, fmt.Errorf("%q is no number", word)
		}
	}
	values, err = count(n, map[string]int{"SEQ": 10, "SEQx": 16}[kind])
	return words[:1], values, err
}

// count writes out the numbers of a sequence.
func count(n []int64, base int) (values [][]string, err error) {
	start, step, end := bounds(n)
	if step == 0 || (end-start)/step > maxLines {
		return nil, fmt.Errorf("from %d to %d by %d are too many", start, end, step)
	}
	for x := start; step > 0 && x <= end || step < 0 && x >= end; x += step {
		values = append(values, []string{strconv.FormatInt(x, base)})
	}
	return values, nil
}

// bounds fills in what a sequence leaves out.
func bounds(n []int64) (start, step, end int64) {
	end = n[len(n)-1]
	start, step = 1, 1
	if end < 0 {
		start = -1
	}
	if len(n) > 1 {
		start = n[0]
	}
	if end < start {
		step = -1
	}
	if len(n) > 2 {
		step = n[1]
	}
	return start, step, end
}

// split cuts at commas; what stands in braces is one group.
func split(args string) [][]string {
	var groups [][]string
	for len(args) > 0 {
		args = strings.TrimLeft(args, " \t,")
		inner, braces := strings.CutPrefix(args, "{")
		end := strings.IndexByte(args, ',')
		if braces {
			end = strings.IndexByte(args, '}')
		}
		if end < 0 {
			end = len(args)
		}
		if braces {
			var group []string
			for word := range strings.SplitSeq(inner[:max(end-1, 0)], ",") {
				group = append(group, strings.TrimSpace(word))
			}
			groups = append(groups, group)
			args = strings.TrimPrefix(args[end:], "}")
			continue
		}
		if word := strings.TrimSpace(args[:end]); word != "" {
			groups = append(groups, []string{word})
		}
		args = args[end:]
	}
	return groups
}

// includes are the words that include a file, which differ in what they complain
// about.
var includes = []string{"include", "includer", "includem", "includew", "includeb", "includea", "include_check"}

// included takes the files of an include line; any other line is not its own.
func (r *kaReader) included(l kaLine) bool {
	words := strings.Fields(l.text)
	if len(words) == 0 || !slices.Contains(includes, words[0]) {
		return false
	}
	if words[0] == "include_check" || len(words) < 2 {
		r.note(l, words[0], "files are read once, here and now; what cannot be read is told")
		return true
	}
	pattern := strings.Trim(strings.Join(words[1:], " "), `"'`)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(l.file), pattern)
	}
	found := false
	for _, p := range braces(pattern) {
		names, err := r.o.Files.Glob(p)
		if err != nil {
			r.note(l, words[0], fmt.Sprintf("%s is no pattern of file names", p))
			return true
		}
		for _, name := range names {
			found = true
			text, err := r.o.Files.ReadFile(name)
			if err != nil {
				r.note(l, words[0], err.Error())
				continue
			}
			if r.depth++; r.depth > maxDepth {
				r.note(l, words[0], "files include each other")
			} else {
				r.file(name, string(text))
			}
			r.depth--
		}
	}
	if !found {
		r.note(l, words[0], fmt.Sprintf("there is no file %s", pattern))
	}
	return true
}

// braces writes out {a,b} in the pattern of a file's name.
func braces(pattern string) []string {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return []string{pattern}
	}
	depth, start := 0, open+1
	var parts []string
	for i := open; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '{':
			depth++
		case c == ',' && depth == 1:
			parts, start = append(parts, pattern[start:i]), i+1
		case c == '}':
			if depth--; depth > 0 {
				continue
			}
			parts = append(parts, pattern[start:i])
			var out []string
			for _, p := range parts {
				if out = append(out, braces(pattern[:open]+p+pattern[i+1:])...); len(out) > 1000 {
					return out
				}
			}
			return out
		}
	}
	return []string{pattern}
}

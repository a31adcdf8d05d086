package convert

import (
	"strconv"
	"strings"
)

// statement is a directive of keepalived.conf with its words and its block.
type statement struct {
	file  string
	line  int
	words []string // the first is the directive
	block []statement
	// open says that there is a block, maybe an empty one.
	open bool
}

func (s statement) name() string { return s.words[0] }

// arg is the i-th word behind the directive, "" for none.
func (s statement) arg(i int) string {
	if i+1 < len(s.words) {
		return s.words[i+1]
	}
	return ""
}

// args are the words behind the directive as one text.
func (s statement) args() string { return strings.Join(s.words[1:], " ") }

// parseStatements makes a tree of lines. Braces that do not match are told.
func parseStatements(lines []kaLine) (out []statement, notes []Note) {
	p := &treeParser{lines: lines}
	for p.more() {
		out = append(out, p.statements(0)...)
		if p.more() {
			l := p.lines[p.at]
			p.notes = append(p.notes, Note{l.file, l.number, "}", "it closes no block"})
			p.advance()
		}
	}
	return out, p.notes
}

type treeParser struct {
	lines []kaLine
	at    int      // the line
	words []string // those left of it, nil if it has not been cut yet
	cut   bool
	notes []Note
}

// more reports whether a word is left, and cuts the next line if need be.
func (p *treeParser) more() bool {
	for p.at < len(p.lines) {
		if !p.cut {
			p.words, p.cut = kaWords(p.lines[p.at].text), true
		}
		if len(p.words) > 0 {
			return true
		}
		p.at, p.cut = p.at+1, false
	}
	return false
}

func (p *treeParser) advance() { p.words = p.words[1:] }

// statements reads as far as the end of a block.
func (p *treeParser) statements(depth int) []statement {
	var out []statement
	for p.more() && p.words[0] != closing {
		l := p.lines[p.at]
		s := statement{file: l.file, line: l.number}
		for len(p.words) > 0 && p.words[0] != opening && p.words[0] != closing {
			s.words = append(s.words, p.words[0])
			p.advance()
		}
		if p.more() && p.words[0] == opening {
			p.advance()
			s.open = true
			if depth < maxDepth {
				s.block = p.statements(depth + 1)
			}
			if p.more() {
				p.advance()
			} else {
				p.notes = append(p.notes, Note{l.file, l.number, strings.Join(s.words, " "), "its block is never closed"})
			}
		}
		if len(s.words) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// opening and closing are braces that stand alone; no other word is such, as
// quoted ones are marked.
const (
	opening = "{"
	closing = "}"
)

// kaWords cuts a line into words. Quotes keep blanks together and are taken off;
// a word that is nothing but a quoted brace is no brace.
func kaWords(line string) []string {
	var out []string
	var word strings.Builder
	quote, begun, quoted := byte(0), false, false
	end := func() {
		if begun {
			out = append(out, braceWords(word.String(), quoted)...)
		}
		word.Reset()
		begun, quoted = false, false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line):
			text, n := escape(line[i+1:])
			word.WriteString(text)
			i += n
			begun = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case (c == '"' || c == '\'') && strings.IndexByte(line[i+1:], c) >= 0:
			quote, begun, quoted = c, true, true
		case c == ' ' || c == '\t' || c == '\r':
			end()
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return out
}

// braceWords takes braces off the ends of a word, where people leave out the
// blank.
func braceWords(word string, quoted bool) []string {
	if quoted || word == opening || word == closing {
		if quoted && (word == opening || word == closing) {
			return []string{" " + word}
		}
		return []string{word}
	}
	if rest, ok := strings.CutSuffix(word, opening); ok && !strings.HasSuffix(rest, "$") {
		return []string{rest, opening}
	}
	if rest, ok := strings.CutSuffix(word, closing); ok && !strings.Contains(rest, "{") {
		return []string{rest, closing}
	}
	return []string{word}
}

// plainEscapes are the letters that stand for others behind a backslash.
var plainEscapes = map[byte]string{'a': "\a", 'b': "\b", 'E': "\x1b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// escape returns what stands behind a backslash, and how many letters that is.
func escape(rest string) (string, int) {
	c := rest[0]
	if text, ok := plainEscapes[c]; ok {
		return text, 1
	}
	digits := func(from int, base, most int) (string, int) {
		n := from
		for n < len(rest) && n-from < most {
			if _, err := strconv.ParseUint(rest[n:n+1], base, 8); err != nil {
				break
			}
			n++
		}
		x, err := strconv.ParseUint(rest[from:n], base, 8)
		if err != nil {
			return rest[:1], 1
		}
		return string([]byte{byte(x)}), n
	}
	switch {
	case c >= '0' && c <= '7':
		return digits(0, 8, 3)
	case c == 'x':
		return digits(1, 16, 2)
	case c == 'c' && len(rest) > 1:
		return string([]byte{rest[1] & 0x1f}), 2
	}
	return string([]byte{c}), 1
}

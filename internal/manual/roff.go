package manual

import (
	"fmt"
	"strings"
)

// Roff is the whole page in the language of man(7).
func (p Page) Roff(s Stamp) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q %s %q %q %q\n", strings.ToUpper(p.Name), section, s.Date, "EVS "+s.Version, "eBPF Virtual Server")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", dashes(escape(p.Name)), inline(p.About))
	for _, part := range p.parts {
		fmt.Fprintf(&b, ".SH %s\n%s", escape(part.heading), part.roff)
	}
	return b.String()
}

// add appends a section; an empty one is left out.
func (p *Page) add(heading string, pieces ...string) {
	// A heading begins a paragraph by itself.
	if text := strings.TrimPrefix(strings.Join(pieces, ""), ".PP\n"); text != "" {
		p.parts = append(p.parts, part{heading, text})
	}
}

// prose turns plain text into paragraphs. Paragraphs are parted by empty lines,
// indented lines are kept as they are, and what is between backquotes is bold.
func prose(text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	for block := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if strings.HasPrefix(block, "  ") {
			b.WriteString(verbatim(block))
			continue
		}
		b.WriteString(".PP\n" + paragraph(block))
	}
	return b.String()
}

func paragraph(text string) string {
	return inline(strings.Join(strings.Fields(text), " ")) + "\n"
}

// verbatim sets lines one below the other, in an upright font of equal width.
func verbatim(text string) string {
	var b strings.Builder
	b.WriteString(".PP\n.RS 4\n.nf\n")
	for line := range strings.Lines(undent(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			line = "\\&"
		}
		b.WriteString(guard(dashes(escape(line))) + "\n")
	}
	b.WriteString(".fi\n.RE\n")
	return b.String()
}

// undent takes away the indentation that all lines share.
func undent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	least := len(text)
	for _, line := range lines {
		if body := strings.TrimLeft(line, " "); body != "" {
			least = min(least, len(line)-len(body))
		}
	}
	for i, line := range lines {
		lines[i] = line[min(least, len(line)):]
	}
	return strings.Join(lines, "\n")
}

// item is a term with its explanation hanging below it.
func item(tag, text string) string {
	return ".TP\n" + guard(tag) + "\n" + paragraph(text)
}

// bold and italic set words of a command line.
func bold(s string) string   { return `\fB` + dashes(escape(s)) + `\fR` }
func italic(s string) string { return `\fI` + dashes(escape(s)) + `\fR` }

// inline escapes a line and sets what is between backquotes in bold.
func inline(line string) string {
	var b strings.Builder
	for i, piece := range strings.Split(line, "`") {
		if i%2 == 1 {
			piece = bold(piece)
		} else {
			piece = escape(piece)
		}
		b.WriteString(piece)
	}
	return guard(b.String())
}

// escape makes text of what roff might read as a request, and ASCII of what its
// output device might not know.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r > 126:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// dashes makes minus signs of hyphens, so that options can be copied.
func dashes(s string) string { return strings.ReplaceAll(s, "-", `\-`) }

// guard keeps a line from being read as a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}

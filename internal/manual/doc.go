// Package manual writes the manual pages. What a page says of options and verbs
// comes from the tables that parse them, so that no page can promise what the
// program does not know; only the words that explain are kept here.
//
// The package writes text. It never runs a command and never opens a table.
package manual

// Page is one manual page.
type Page struct {
	Name  string // as in "man NAME"
	About string // one line, for whatis and apropos
	parts []part
}

// part is a section of a page, its text already in roff.
type part struct {
	heading string
	roff    string
}

// Stamp is what stands at the foot of every page.
type Stamp struct {
	Date    string // of the source, so that the same source gives the same page
	Version string
}

// section is the section of the manual that all pages belong to: commands of
// the system's administrator.
const section = "8"

// File is the name of the page's file.
func (p Page) File() string { return p.Name + "." + section }

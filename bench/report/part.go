package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/bench/plot"
)

// Machine is where something was measured.
type Machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	Arch      string `json:"arch"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s", m.Processor, m.Cores, m.Kernel, m.Arch)
}

// Part is what one part of the benchmark found. Machine and Time are filled in by
// whoever has it published.
type Part struct {
	Name    string       `json:"name"` // of the part, as -only knows it
	Title   string       `json:"title"`
	About   string       `json:"about"` // what was measured, in a sentence or two
	Time    time.Time    `json:"time"`
	Machine Machine      `json:"machine"`
	Tables  []Table      `json:"tables,omitempty"`
	Figures []Figure     `json:"figures,omitempty"`
	Charts  []plot.Chart `json:"charts,omitempty"`
	// Data is all there is, in a form of the part's own.
	Data any `json:"data,omitempty"`
}

// Table is cells in rows, the first of which is the head.
type Table struct {
	Title string     `json:"title"`
	Rows  [][]string `json:"rows"`
}

// Figure is a number, and the bar it is held against if there is one.
type Figure struct {
	Name  string `json:"name"`
	Unit  string `json:"unit,omitempty"` // "" for a ratio
	Value Spread `json:"value"`
	// Most and Least are the bars; 0 where there is none.
	Most  float64 `json:"most,omitempty"`
	Least float64 `json:"least,omitempty"`
	// Missing is why there is no value, where a bar asks for one.
	Missing bool `json:"missing,omitempty"`
}

// One is the spread of a thing that was measured once.
func One(v float64) Spread { return Spread{Median: v, Min: v, Max: v, Rounds: 1} }

// Over is the spread of the ratios, round by round, of two things that took turns.
func Over(a, b []float64) Spread {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i]/b[i])
	}
	return Summarise(ratios)
}

// Barred says whether there is a bar.
func (f Figure) Barred() bool { return f.Most > 0 || f.Least > 0 }

// Passed says whether the figure clears its bar, or has none.
func (f Figure) Passed() bool {
	switch {
	case f.Missing:
		return false
	case f.Most > 0 && f.Value.Median > f.Most:
		return false
	default:
		return f.Value.Median >= f.Least
	}
}

// Result is the verdict in a word or two, "" without a bar.
func (f Figure) Result() string {
	switch {
	case !f.Barred():
		return ""
	case f.Missing:
		return "not measured"
	case f.Passed():
		return "pass"
	default:
		return "FAIL"
	}
}

// Bar writes the bar.
func (f Figure) Bar() string {
	switch {
	case f.Most > 0:
		return strings.TrimSpace("≤ " + number(f.Most) + " " + f.Unit)
	case f.Least > 0:
		return strings.TrimSpace("≥ " + number(f.Least) + " " + f.Unit)
	default:
		return ""
	}
}

func (f Figure) measured() string {
	if f.Missing {
		return "-"
	}
	s := strings.TrimSpace(number(f.Value.Median) + " " + f.Unit)
	if f.Value.Rounds > 1 {
		s += fmt.Sprintf(" (%s to %s)", number(f.Value.Min), number(f.Value.Max))
	}
	return s
}

// number writes three digits, or all there are before the point.
func number(v float64) string {
	switch size := max(v, -v); {
	case size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return trim(fmt.Sprintf("%.1f", v))
	default:
		return trim(fmt.Sprintf("%.2f", v))
	}
}

func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// Passed says whether every bar was cleared.
func (p Part) Passed() bool {
	return !slices.ContainsFunc(p.Figures, func(f Figure) bool { return !f.Passed() })
}

// Picture is the file name of a part's chart.
func (p Part) Picture(chart int) string { return fmt.Sprintf("%s-%d.svg", p.Name, chart+1) }

// Text renders the part for a terminal.
func (p Part) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", strings.ToUpper(p.Title), p.About)
	for _, t := range p.tables() {
		b.WriteByte('\n')
		if t.Title != "" {
			fmt.Fprintf(&b, "%s\n", t.Title)
		}
		b.WriteString(textTable(t.Rows))
	}
	return b.String()
}

// Markdown renders the part as a chapter of a page that lies beside its pictures.
func (p Part) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n%s; %s\n", p.Title, p.About, p.Machine, p.Time.UTC().Format("2006-01-02 15:04 MST"))
	for _, t := range p.tables() {
		b.WriteByte('\n')
		if t.Title != "" {
			fmt.Fprintf(&b, "### %s\n\n", t.Title)
		}
		b.WriteString(markdownTable(t.Rows))
	}
	for i, c := range p.Charts {
		fmt.Fprintf(&b, "\n![%s](%s)\n", c.Title, p.Picture(i))
	}
	return b.String()
}

// tables are those of the part, and one of its figures.
func (p Part) tables() []Table {
	if len(p.Figures) == 0 {
		return p.Tables
	}
	rows := [][]string{{"figure", "measured", "bar", "result"}}
	for _, f := range p.Figures {
		rows = append(rows, []string{f.Name, f.measured(), f.Bar(), f.Result()})
	}
	return append(slices.Clone(p.Tables), Table{Rows: rows})
}

// Bars are a chart of bars by name, each with how far it spread.
func Bars(title, y string, names []string, values []Spread) plot.Chart {
	return plot.Chart{Title: title, Y: y, Names: names, Series: []plot.Series{Series("", values)}}
}

// Series are values with how far they spread.
func Series(name string, values []Spread) plot.Series {
	s := plot.Series{Name: name}
	for _, v := range values {
		s.Y, s.Low, s.High = append(s.Y, v.Median), append(s.Low, v.Min), append(s.High, v.Max)
	}
	return s
}

package report

import (
	"fmt"
	"strings"

	"github.com/evs-project/evs/bench/plot"
)

// Report is what packets cost: the rows of the part that measures it.
type Report struct {
	Rows     []Row     `json:"rows"`
	Verdicts []Verdict `json:"-"`
}

// Part renders the costs: a table and a chart of each case, and the bars.
func (r Report) Part(name string) Part {
	p := Part{
		Name: name, Title: "Program cost",
		About: "Nanoseconds per packet above an empty program: median (least to most over the rounds).",
		Data:  r,
	}
	for _, one := range distinct(r.Rows, func(r Row) string { return r.Case }) {
		p.Tables = append(p.Tables, Table{one, r.costs(one)})
		p.Charts = append(p.Charts, r.chart(one))
	}
	for _, v := range r.Verdicts {
		p.Figures = append(p.Figures, Figure{
			Name:  fmt.Sprintf("%s, %s: %s / %s", v.Case, Flows(v.Flows), v.Target, v.Yardstick),
			Value: One(v.Measured), Most: v.Wanted, Missing: !v.Known,
		})
	}
	return p
}

func (r Report) of(name string) (rows []Row) {
	for _, row := range r.Rows {
		if row.Case == name {
			rows = append(rows, row)
		}
	}
	return rows
}

func (r Report) chart(name string) plot.Chart {
	rows := r.of(name)
	c := plot.Chart{Title: name, X: "flows", Y: "ns per packet", LogX: true}
	for _, target := range distinct(rows, func(r Row) string { return r.Target }) {
		line := plot.Series{Name: target}
		for _, n := range flowCounts(rows) {
			if row, ok := find(rows, name, n, target); ok {
				line.X, line.Y = append(line.X, float64(n)), append(line.Y, row.Cost.Median)
				line.Low, line.High = append(line.Low, row.Cost.Min), append(line.High, row.Cost.Max)
			}
		}
		c.Series = append(c.Series, line)
	}
	return c
}

// costs is the table of one case: a line for each target, a column for each
// number of flows, and below what the harness itself cost.
func (r Report) costs(name string) [][]string {
	rows := r.of(name)
	counts := flowCounts(rows)
	head := []string{"target"}
	for _, n := range counts {
		head = append(head, Flows(n))
	}
	table := [][]string{head}
	harness := []string{"(the harness, subtracted)"}
	for _, target := range distinct(rows, func(r Row) string { return r.Target }) {
		line := []string{target}
		for _, n := range counts {
			row, ok := find(rows, name, n, target)
			line = append(line, cell(row.Cost, ok))
			if len(table) == 1 {
				harness = append(harness, cell(row.Harness, ok))
			}
		}
		table = append(table, line)
	}
	return append(table, harness)
}

func cell(s Spread, known bool) string {
	if !known {
		return "-"
	}
	return s.String()
}

// Count writes a number of flows: 1, 10k, 1M.
func Count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1_000 && n%1_000 == 0:
		return fmt.Sprintf("%dk", n/1_000)
	default:
		return fmt.Sprint(n)
	}
}

// Flows writes a number of flows with the word.
func Flows(n int) string {
	if n == 1 {
		return "1 flow"
	}
	return Count(n) + " flows"
}

func textTable(table [][]string) string {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, c := range line {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	var b strings.Builder
	for _, line := range table {
		var padded []string
		for i, c := range line {
			padded = append(padded, c+strings.Repeat(" ", widths[i]-len([]rune(c))))
		}
		b.WriteString("  " + strings.TrimRight(strings.Join(padded, "  "), " ") + "\n")
	}
	return b.String()
}

func markdownTable(table [][]string) string {
	var b strings.Builder
	for i, line := range table {
		b.WriteString("| " + strings.Join(line, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(line)) + "\n")
		}
	}
	return b.String()
}

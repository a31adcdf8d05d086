package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Machine is where a report was measured.
type Machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	Arch      string `json:"arch"`
}

// Report is one run of the benchmark.
type Report struct {
	Time     time.Time
	Machine  Machine
	Rows     []Row
	Verdicts []Verdict
}

// Text renders the report for a terminal.
func (r Report) Text() string { return r.render(textTable, "%s\n") }

// Markdown renders the report for a page.
func (r Report) Markdown() string { return r.render(markdownTable, "## %s\n") }

func (r Report) render(table func([][]string) string, heading string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, %s; %s\n\n",
		r.Machine.Processor, r.Machine.Cores, r.Machine.Kernel, r.Machine.Arch, r.Time.UTC().Format("2006-01-02"))
	b.WriteString("Nanoseconds per packet above an empty program: median (least to most over the rounds).\n\n")
	for _, name := range distinct(r.Rows, func(r Row) string { return r.Case }) {
		fmt.Fprintf(&b, heading+"\n", name)
		b.WriteString(table(r.costs(name)))
		b.WriteByte('\n')
	}
	if len(r.Verdicts) > 0 {
		fmt.Fprintf(&b, heading+"\n", "Bars")
		b.WriteString(table(bars(r.Verdicts)))
	}
	return b.String()
}

// costs is the table of one case: a line for each target, a column for each
// number of flows, and below what the harness itself cost.
func (r Report) costs(name string) [][]string {
	var rows []Row
	for _, row := range r.Rows {
		if row.Case == name {
			rows = append(rows, row)
		}
	}
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
	return fmt.Sprintf("%.1f (%.1f to %.1f)", s.Median, s.Min, s.Max)
}

func bars(verdicts []Verdict) [][]string {
	table := [][]string{{"case", "flows", "ratio", "wanted", "measured", "result"}}
	for _, v := range verdicts {
		measured := "-"
		if v.Known {
			measured = fmt.Sprintf("%.2f", v.Measured)
		}
		table = append(table, []string{
			v.Case, Count(v.Flows), v.Target + " / " + v.Yardstick,
			fmt.Sprintf("≤ %.2f", v.Wanted), measured, v.Result(),
		})
	}
	return table
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

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	type bar struct {
		Case      string   `json:"case"`
		Flows     int      `json:"flows"`
		Target    string   `json:"target"`
		Yardstick string   `json:"yardstick"`
		Wanted    float64  `json:"wanted"`
		Measured  *float64 `json:"measured"` // null: not measured
		Result    string   `json:"result"`
	}
	out := struct {
		Time    time.Time `json:"time"`
		Machine Machine   `json:"machine"`
		Rows    []Row     `json:"rows"`
		Bars    []bar     `json:"bars"`
	}{r.Time.UTC(), r.Machine, r.Rows, []bar{}}
	for _, v := range r.Verdicts {
		b := bar{v.Case, v.Flows, v.Target, v.Yardstick, v.Wanted, nil, v.Result()}
		if v.Known {
			b.Measured = &v.Measured
		}
		out.Bars = append(out.Bars, b)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

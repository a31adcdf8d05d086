// Package report turns measurements into numbers, tables and verdicts. It is
// pure; it measures nothing and writes no file.
package report

import (
	"cmp"
	"fmt"
	"slices"
)

// Spread is what the rounds of one measurement came to.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// String writes the median, and the least and the most of the rounds.
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s to %s)", number(s.Median), number(s.Min), number(s.Max))
}

// Summarise returns the spread of the rounds; the zero Spread for none.
func Summarise(rounds []float64) Spread {
	if len(rounds) == 0 {
		return Spread{}
	}
	sorted := slices.Clone(rounds)
	slices.Sort(sorted)
	return Spread{Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1], Rounds: len(sorted)}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Row is the cost of one target for one case and number of flows.
type Row struct {
	Case    string `json:"case"`
	Flows   int    `json:"flows"`
	Target  string `json:"target"`
	Packets int    `json:"packets_per_round"`
	Cost    Spread `json:"cost"`
	// Harness is the harness with the empty program: what was subtracted.
	Harness Spread `json:"harness"`
}

// Bar is a promise: the cost of Target, divided by that of Yardstick, is at
// most Wanted.
type Bar struct {
	Case      string
	Flows     int
	Target    string
	Yardstick string
	Wanted    float64
}

// Verdict is what became of a Bar.
type Verdict struct {
	Bar
	Measured float64
	// Known is false when either side was not measured.
	Known bool
}

// Judge holds the rows against the bars.
func Judge(bars []Bar, rows []Row) []Verdict {
	verdicts := make([]Verdict, 0, len(bars))
	for _, b := range bars {
		v := Verdict{Bar: b}
		target, ok := find(rows, b.Case, b.Flows, b.Target)
		yardstick, also := find(rows, b.Case, b.Flows, b.Yardstick)
		if ok && also && yardstick.Cost.Median > 0 {
			v.Known = true
			v.Measured = target.Cost.Median / yardstick.Cost.Median
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func find(rows []Row, name string, flows int, target string) (Row, bool) {
	at := slices.IndexFunc(rows, func(r Row) bool {
		return r.Case == name && r.Flows == flows && r.Target == target
	})
	if at < 0 {
		return Row{}, false
	}
	return rows[at], true
}

// flowCounts lists the numbers of flows in the rows, rising.
func flowCounts(rows []Row) []int {
	var counts []int
	for _, r := range rows {
		counts = append(counts, r.Flows)
	}
	slices.SortFunc(counts, cmp.Compare[int])
	return slices.Compact(counts)
}

// distinct lists what name makes of the rows, in order of first appearance.
func distinct(rows []Row, name func(Row) string) []string {
	var names []string
	for _, r := range rows {
		if n := name(r); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

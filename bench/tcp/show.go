package tcp

import (
	"fmt"
	"slices"

	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

// Figures are the bar, of the ratio round by round.
func Figures(rows []Row) []report.Figure {
	find := func(name string) Row {
		return rows[slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })]
	}
	return []report.Figure{
		{Name: "p99 at half load, " + evsNAT + " / " + nftablesName, Value: report.Over(find(evsNAT).p99s, find(nftablesName).p99s), Most: 1},
	}
}

// Table is what each did.
func Table(rows []Row) [][]string {
	table := [][]string{{"director", "connections per second", "half load", "p50, µs", "p99, µs", "p99.9, µs", "failed"}}
	for _, r := range rows {
		table = append(table, []string{r.Name, r.Rate.String(), fmt.Sprintf("%.0f", r.Half), r.P50.String(), r.P99.String(), r.P999.String(), fmt.Sprint(r.Failed)})
	}
	return table
}

// Charts draw the rates and the latencies.
func Charts(rows []Row) []plot.Chart {
	var names []string
	var rates, p50, p99 []report.Spread
	for _, r := range rows {
		names = append(names, r.Name)
		rates, p50, p99 = append(rates, r.Rate), append(p50, r.P50), append(p99, r.P99)
	}
	waits := report.Bars("How long a connection takes at half load: p50, p99", "µs", names, p50)
	waits.Series = append(waits.Series, report.Series("p99", p99))
	return []plot.Chart{report.Bars("New TCP connections per second, ends and all", "connections per second", names, rates), waits}
}

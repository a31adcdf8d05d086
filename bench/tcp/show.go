package tcp

import (
	"fmt"
	"slices"

	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

// Figures are the bars, of ratios round by round.
func Figures(rows []Row) []report.Figure {
	find := func(name string) Row {
		return rows[slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })]
	}
	evs, nft, proxy := find(evsNAT), find(nftablesName), find(haproxyName)
	return []report.Figure{
		{Name: "connections per second, " + evsNAT + " / " + haproxyName, Value: report.Over(evs.rates, proxy.rates), Least: 2.5},
		{Name: "connections per second, " + evsNAT + " / " + nftablesName, Value: report.Over(evs.rates, nft.rates), Least: 1.05},
		{Name: "p99 at half load, " + evsNAT + " / " + nftablesName, Value: report.Over(evs.p99s, nft.p99s), Most: 1},
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
	rates := plot.Chart{Title: "New TCP connections per second", Y: "connections per second"}
	waits := plot.Chart{Title: "How long a connection takes at half load: p50, p99", Y: "µs"}
	var rate, p50, p99 plot.Series
	for _, r := range rows {
		rates.Names = append(rates.Names, r.Name)
		waits.Names = append(waits.Names, r.Name)
		add(&rate, r.Rate)
		add(&p50, r.P50)
		add(&p99, r.P99)
	}
	rates.Series, waits.Series = []plot.Series{rate}, []plot.Series{p50, p99}
	return []plot.Chart{rates, waits}
}

func add(s *plot.Series, v report.Spread) {
	s.Y, s.Low, s.High = append(s.Y, v.Median), append(s.Low, v.Min), append(s.High, v.Max)
}

package pps

import (
	"fmt"
	"slices"

	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

// TalkTable is what each made possible.
func TalkTable(rows []TalkRow) [][]string {
	table := [][]string{{"director", "connections per second", "µs per connection", "unanswered"}}
	for _, r := range rows {
		table = append(table, []string{r.Name, r.Rate.String(), fmt.Sprintf("%.1f", 1e6/r.Rate.Median), fmt.Sprintf("%.4f %%", 100*r.Unanswered)})
	}
	return table
}

// TalkFigures are the bars, of ratios round by round.
func TalkFigures(rows []TalkRow) (figures []report.Figure) {
	find := func(name string) []float64 {
		return rows[slices.IndexFunc(rows, func(r TalkRow) bool { return r.Name == name })].rates
	}
	for _, evs := range []string{xdpTalk, tcTalk} {
		for _, b := range []struct {
			yardstick string
			least     float64
		}{{haproxyName, 2.5}, {nftablesName, 1.05}} {
			figures = append(figures, report.Figure{
				Name: "connections per second on one processor, " + evs + " / " + b.yardstick, Value: report.Over(find(evs), find(b.yardstick)), Least: b.least,
			})
		}
	}
	return figures
}

// TalkChart draws the rates.
func TalkChart(rows []TalkRow) plot.Chart {
	var names []string
	var rates []report.Spread
	for _, r := range rows {
		names, rates = append(names, r.Name), append(rates, r.Rate)
	}
	return report.Bars("New TCP connections per second on one processor", "connections per second", names, rates)
}

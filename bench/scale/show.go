package scale

import (
	"fmt"
	"slices"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

// most is the memory of a connection that EVS promises to stay below, in bytes.
var most = map[packet.Method]float64{packet.Route: 96, packet.Masq: 160}

// names of the methods, as people say them.
var names = map[packet.Method]string{packet.Route: "direct routing", packet.Masq: "NAT"}

// Figures are the bars, at the largest table measured, and what that costs.
func (r Result) Figures() (figures []report.Figure) {
	for m, bytes := range most {
		figure := report.Figure{Name: "memory of a connection by " + names[m] + ", all maps", Unit: "bytes", Most: bytes, Missing: true}
		if f, ok := r.largest(m); ok {
			figure.Name += " of a table for " + report.Count(f.Conns)
			figure.Value, figure.Missing = report.One(f.PerConn()), false
		}
		figures = append(figures, figure)
	}
	slices.SortFunc(figures, func(a, b report.Figure) int { return int(a.Most - b.Most) })
	if f, ok := r.largest(packet.Masq); ok {
		figures = append(figures,
			report.Figure{Name: "ipvsadm -Lnc of " + report.Count(f.Conns) + " connections", Unit: "s", Value: report.One(f.List)},
			report.Figure{Name: "its memory", Unit: "MiB", Value: report.One(float64(f.ListMemory) / (1 << 20))})
	}
	return figures
}

func (r Result) largest(m packet.Method) (largest Filled, ok bool) {
	for _, f := range r.Filled {
		if f.Method == m && f.Conns > largest.Conns {
			largest, ok = f, true
		}
	}
	return largest, ok
}

// Tables are those of connections and of services.
func (r Result) Tables() []report.Table {
	conns := [][]string{{"method", "connections", "memory, MiB", "per connection, bytes", "ipvsadm -Lnc, s", "its memory, MiB"}}
	for _, f := range r.Filled {
		conns = append(conns, []string{names[f.Method], report.Count(f.Conns), mega(f.All), fmt.Sprintf("%.0f", f.PerConn()),
			fmt.Sprintf("%.2f", f.List), mega(f.ListMemory)})
	}
	services := [][]string{{"services", "ipvsadm -R, s"}}
	for _, l := range r.Loaded {
		services = append(services, []string{report.Count(l.Services), fmt.Sprintf("%.2f", l.Seconds)})
	}
	return []report.Table{{Title: "Connections", Rows: conns}, {Title: "Services, of nine servers each", Rows: services}}
}

func mega(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// Charts draw what grows with the table.
func (r Result) Charts() []plot.Chart {
	memory, list, load := plot.Series{Name: "all maps"}, plot.Series{Name: "ipvsadm -Lnc"}, plot.Series{Name: "ipvsadm -R"}
	for _, f := range r.Filled {
		if f.Method == packet.Masq {
			memory.X, memory.Y = append(memory.X, float64(f.Conns)), append(memory.Y, float64(f.All)/(1<<20))
			list.X, list.Y = append(list.X, float64(f.Conns)), append(list.Y, f.List)
		}
	}
	for _, l := range r.Loaded {
		load.X, load.Y = append(load.X, float64(l.Services)), append(load.Y, l.Seconds)
	}
	return []plot.Chart{
		{Title: "Memory of a table", X: "connections", Y: "MiB", LogX: true, LogY: true, Series: []plot.Series{memory}},
		{Title: "Listing connections", X: "connections", Y: "seconds", LogX: true, LogY: true, Series: []plot.Series{list}},
		{Title: "Loading services", X: "services of nine servers", Y: "seconds", LogX: true, LogY: true, Series: []plot.Series{load}},
	}
}

package scale

import (
	"fmt"

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
	for _, m := range []packet.Method{packet.Route, packet.Masq} {
		figure := report.Figure{Name: "memory of a connection by " + names[m], Unit: "bytes", Most: most[m], Missing: true}
		if f, ok := r.largest(m); ok {
			figure.Name += ", IPv4, in a table for " + report.Count(f.Conns)
			figure.Value, figure.Missing = report.One(f.PerConn()), false
		}
		figures = append(figures, figure)
	}
	if f, ok := r.largest(packet.Masq); ok {
		figures = append(figures,
			report.Figure{Name: "the same of IPv6", Unit: "bytes", Value: report.One(f.PerConn6())},
			report.Figure{Name: "all maps of that table, by connections of IPv4", Unit: "bytes", Value: report.One(float64(f.Total()) / float64(f.Conns))},
			report.Figure{Name: "maps that hold no connections", Unit: "MiB", Value: report.One(float64(f.rest()) / (1 << 20))},
			report.Figure{Name: "ipvsadm -Lnc of " + report.Count(f.Conns) + " connections", Unit: "s", Value: report.One(f.List)})
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
	conns := [][]string{{"method", "connections", "all maps, MiB", "of them without connections", "bytes per connection, IPv4", "IPv6", "ipvsadm -Lnc, s"}}
	for _, f := range r.Filled {
		conns = append(conns, []string{names[f.Method], report.Count(f.Conns), mega(f.Total()), mega(f.rest()),
			fmt.Sprintf("%.0f", f.PerConn()), fmt.Sprintf("%.0f", f.PerConn6()), fmt.Sprintf("%.2f", f.List)})
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
			memory.X, memory.Y = append(memory.X, float64(f.Conns)), append(memory.Y, float64(f.Total())/(1<<20))
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

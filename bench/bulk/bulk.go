// Package bulk measures how fast one TCP connection carries bytes through a
// masquerading director on veth, with the offloads that veth has: through EVS,
// and through nftables, which does the same with the kernel's own connection
// tracking. Each has a client, a director and a server of its own, in namespaces
// that the kernel takes away with the process.
package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/ipvs"
)

// Least is the bar: what EVS carries, by what nftables does.
const Least = 0.95

var (
	vip    = netip.MustParseAddrPort("203.0.113.10:5201")
	server = netip.AddrPortFrom(peers.ServerAddr, vip.Port())
)

// contenders are who is measured; the first is the yardstick.
var contenders = []struct {
	name  string
	serve func(context.Context, peers.Service) (peers.Stop, error)
}{
	{"nftables DNAT", peers.Nftables},
	{"EVS NAT", peers.EVS{Forwarding: ipvs.Destination{Method: ipvs.Masquerade}}.Serve}, // by the doors it chooses
}

// directions are which end sends.
var directions = []struct {
	name string
	up   bool
}{
	{"client to server", true},
	{"server to client", false},
}

// Suite is what to measure with.
type Suite struct {
	Rounds   int
	Round    time.Duration // of one direction
	Progress io.Writer
}

// Row is a direction and what was carried each round, in Gbit/s.
type Row struct {
	Direction      string
	Yardstick, EVS report.Spread
	Ratio          report.Spread // of the rounds' pairs
}

// Figures are what was carried, and the bars.
func Figures(rows []Row) (figures []report.Figure) {
	for _, r := range rows {
		figures = append(figures,
			report.Figure{Name: r.Direction + ", " + contenders[0].name, Unit: "Gbit/s", Value: r.Yardstick},
			report.Figure{Name: r.Direction + ", " + contenders[1].name, Unit: "Gbit/s", Value: r.EVS},
			report.Figure{Name: r.Direction + ", " + contenders[1].name + " / " + contenders[0].name, Value: r.Ratio, Least: Least})
	}
	return figures
}

// Run measures. The contenders take turns, so that what else the machine does
// meets both.
func (s Suite) Run(ctx context.Context) (rows []Row, err error) {
	var paths []path
	defer func() {
		for _, p := range paths {
			err = errors.Join(err, p.Close())
		}
	}()
	for _, c := range contenders {
		p, err := peers.NewPath(ctx, peers.Director{Serve: c.serve}, peers.Service{VIP: vip, Server: server})
		paths = append(paths, path{p})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for _, d := range directions {
		rates, err := s.direction(ctx, paths, d.up)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		rows = append(rows, row(d.name, rates))
	}
	return rows, nil
}

// direction returns the rates by contender and round.
func (s Suite) direction(ctx context.Context, paths []path, up bool) ([][]float64, error) {
	rates := make([][]float64, len(paths))
	for round := -1; round < s.Rounds; round++ { // the first is to warm up
		for turn := range paths {
			i := (turn + round + 1) % len(paths) // who begins changes
			p := paths[i]
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			rate, err := p.carry(up, s.Round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contenders[i].name, err)
			}
			if round < 0 {
				continue
			}
			rates[i] = append(rates[i], rate)
			fmt.Fprintf(s.Progress, "bulk TCP, %s, round %d of %d: %.1f Gbit/s\n", contenders[i].name, round+1, s.Rounds, rate)
		}
	}
	return rates, nil
}

func row(direction string, rates [][]float64) Row {
	return Row{direction, report.Summarise(rates[0]), report.Summarise(rates[1]), report.Over(rates[1], rates[0])}
}

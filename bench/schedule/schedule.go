// Package schedule measures what a new connection costs by each scheduler, among few
// destinations and among many: through a table that it makes in the namespace it is
// called in, and takes away again. It judges no scheduler's choice.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// numbers are how many destinations there are to choose among.
var numbers = []int{2, 32, 1024}

// connections are made in a round, each by the SYN of a client of its own; the table has
// room for all of them while none is answered, and forgets them before the next round.
const (
	connections = 20_000
	capacity    = 8 * connections
	forget      = 2 * time.Minute
)

// Suite is what to measure with.
type Suite struct {
	Scene    packet.Scene
	Link     int // index of the interface that packets come in by, in the room
	Rounds   int
	Progress io.Writer
}

// Cost is what a connection costs by one scheduler: by the place in numbers.
type Cost struct {
	Scheduler string
	Among     []report.Spread
}

// stage is the table under measurement.
type stage struct {
	Suite
	harness *harness.Harness
	table   *ipvs.Table
	program *ebpf.Program
	empty   *ebpf.Program
}

// Run measures everything, and removes the table whatever happens.
func (s Suite) Run(ctx context.Context) (costs []Cost, err error) {
	g := stage{Suite: s}
	if g.harness, err = harness.New(s.Scene, s.Link, connections); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.harness.Close()) }()
	if g.table, err = ipvs.OpenSized(ctx, capacity); err != nil {
		return nil, err
	}
	defer func() {
		_, gone := g.table.Unload()
		err = errors.Join(err, gone)
	}()
	if err := g.table.Attach(ipvs.AttachXDP, room.Name); err != nil {
		return nil, err
	}
	if g.program, err = datapath.XDPProgram(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.program.Close()) }()
	if g.empty, err = g.harness.Empty(g.program); err != nil {
		return nil, err
	}
	for _, scheduler := range sched.All {
		costs = append(costs, Cost{Scheduler: scheduler.Name})
	}
	for _, n := range numbers {
		if err := g.among(ctx, n, costs); err != nil {
			return nil, fmt.Errorf("%d destinations: %w", n, err)
		}
	}
	return costs, nil
}

// service is the one there is, by a scheduler.
func (g *stage) service(scheduler string) ipvs.Service {
	return ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, g.Scene.VIP), Scheduler: scheduler}
}

// among measures all schedulers with so many destinations. In a round each has its turn,
// so that whatever slows the machine for a while slows them alike.
func (g *stage) among(ctx context.Context, n int, costs []Cost) error {
	spec := ipvs.ServiceSpec{Service: g.service("rr")}
	for i := range n {
		spec.Destinations = append(spec.Destinations, ipvs.Destination{
			Addr:   netip.AddrPortFrom(g.Scene.Server.Addr(), g.Scene.Server.Port()+uint16(i)),
			Method: ipvs.Masquerade, Weight: int32(connections + 1 + i%4), // one would do for ovf
		})
	}
	if _, err := g.table.Set([]ipvs.ServiceSpec{spec}); err != nil {
		return err
	}
	rounds := make([][]float64, len(costs))
	for range g.Rounds {
		for i := range costs {
			if err := ctx.Err(); err != nil {
				return err
			}
			cost, err := g.turn(costs[i].Scheduler)
			if err != nil {
				return fmt.Errorf("%s: %w", costs[i].Scheduler, err)
			}
			rounds[i] = append(rounds[i], cost)
		}
	}
	for i := range costs {
		spread := report.Summarise(rounds[i])
		costs[i].Among = append(costs[i].Among, spread)
		fmt.Fprintf(g.Progress, "%s among %d: %.0f ns\n", costs[i].Scheduler, n, spread.Median)
	}
	return nil
}

// turn is a round of one scheduler: what a connection costs above the empty program.
func (g *stage) turn(scheduler string) (float64, error) {
	if err := g.table.EditService(g.service(scheduler)); err != nil {
		return 0, err
	}
	play := harness.Play{Kinds: []packet.Kind{packet.SYN}, Flows: connections, Packets: connections, Shuffled: true}
	base, err := g.harness.Run(g.empty, play)
	if err != nil {
		return 0, err
	}
	both, err := g.harness.Run(g.program, play)
	if err == nil {
		err = both.Complete()
	}
	if err != nil {
		return 0, err
	}
	if err := g.complete(); err != nil {
		return 0, err
	}
	return both.PerPacket() - base.PerPacket(), nil
}

// complete makes sure that the round made all connections, and has them forgotten.
func (g *stage) complete() error {
	status, err := g.table.Status()
	if err != nil {
		return err
	}
	if status.Conns != connections {
		return fmt.Errorf("%d connections were made, want %d", status.Conns, connections)
	}
	var e datapath.Editor
	forgotten := e.View(func(t *datapath.Table) error { return t.Advance(forget) })
	return errors.Join(forgotten, e.Close())
}

// Bars are what EVS promises: the least busy of very many is found within two
// microseconds, and who hashes does not look how many there are. What it costs them is
// the memory of more destinations.
func Bars(costs []Cost) []report.Figure {
	var figures []report.Figure
	for _, c := range costs {
		few, many := c.Among[0].Median, c.Among[len(c.Among)-1].Median
		switch c.Scheduler {
		case "wlc":
			figures = append(figures, report.Figure{Name: "a connection by wlc among 1,024", Value: c.Among[len(c.Among)-1], Unit: "ns", Most: 2000})
		case "mh", "sh":
			figures = append(figures, report.Figure{Name: c.Scheduler + " among 1,024, by among 2", Value: report.One(many / few), Most: 1.5})
		}
	}
	return figures
}

// Table renders the costs.
func Table(costs []Cost) [][]string {
	head := []string{"scheduler"}
	for _, n := range numbers {
		head = append(head, fmt.Sprintf("among %d", n))
	}
	rows := [][]string{head}
	for _, c := range costs {
		row := []string{c.Scheduler}
		for _, s := range c.Among {
			row = append(row, s.String())
		}
		rows = append(rows, row)
	}
	return rows
}

// Chart draws the costs by the number of destinations.
func Chart(costs []Cost) plot.Chart {
	c := plot.Chart{Title: "A new connection, by scheduler", X: "destinations", Y: "ns", LogX: true}
	for _, cost := range costs {
		line := plot.Series{Name: cost.Scheduler}
		for i, s := range cost.Among {
			line.X, line.Y = append(line.X, float64(numbers[i])), append(line.Y, s.Median)
		}
		c.Series = append(c.Series, line)
	}
	return c
}

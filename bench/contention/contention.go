// Package contention measures what packets cost in the data path when several processors
// carry them at once, into one table. What is above the cost on one processor is what
// they take from each other: memory they share, and memory they both write.
package contention

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/evs"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/datapath"
)

// Suite is what to measure with.
type Suite struct {
	Scene    packet.Scene
	Link     int // index of the interface that packets come in by, in the room
	Rounds   int
	Threads  int // at most, each on a processor of its own
	Flows    int // of each thread
	Progress io.Writer
}

// trial is one thing that all processors do.
type trial struct {
	name   string
	method packet.Method
	kinds  []packet.Kind
	shared bool // all have the same flows, else each has its own
	fresh  bool // each flow once, into an empty table
}

// trials are in the order in which a table can serve them: first while it is empty.
var trials = []trial{
	{"NAT, a new connection with every packet", packet.Masq, []packet.Kind{packet.SYN}, false, true},
	{"NAT, established, flows of one's own", packet.Masq, []packet.Kind{packet.ACK, packet.ReplyACK}, false, false},
	{"NAT, established, the same flows for all", packet.Masq, []packet.Kind{packet.ACK, packet.ReplyACK}, true, false},
	{"direct routing, established, flows of one's own", packet.Route, []packet.Kind{packet.ACK}, false, false},
}

// laps is how often established flows come by in a round.
const laps = 10

// spare is how much larger the table is than what it gets: of those that nobody has
// answered yet, a part only has room.
const spare = 8

// Row is what a packet cost.
type Row struct {
	Case    string        `json:"case"`
	Threads int           `json:"threads"`
	Cost    report.Spread `json:"ns_per_packet"`
}

// Run measures.
func (s Suite) Run(ctx context.Context) (rows []Row, err error) {
	var stands []*harness.Harness
	defer func() {
		for _, h := range stands {
			err = errors.Join(err, h.Close())
		}
	}()
	for range s.Threads {
		h, err := harness.New(s.Scene, s.Link, s.Flows*s.Threads)
		if err != nil {
			return nil, err
		}
		stands = append(stands, h)
	}
	for _, m := range []packet.Method{packet.Masq, packet.Route} {
		more, err := s.method(ctx, m, stands)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (s Suite) method(ctx context.Context, m packet.Method, stands []*harness.Harness) (rows []Row, err error) {
	all := s.Flows * s.Threads
	t, err := evs.New("EVS", m, harness.Stage{Scene: s.Scene, Link: s.Link, Flows: spare * all, Harness: stands[0]})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	opened := false
	for _, tr := range trials {
		if tr.method != m {
			continue
		}
		if !tr.fresh && !opened {
			if err := stands[0].Establish(t.Program(), m, all); err != nil {
				return nil, err
			}
			opened = true
		}
		more, err := s.trial(ctx, tr, t.Program(), stands)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tr.name, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// trial has one processor, then two and so on take part, in each round.
func (s Suite) trial(ctx context.Context, tr trial, p *ebpf.Program, stands []*harness.Harness) (rows []Row, err error) {
	costs := make([][]float64, s.Threads)
	for round := range s.Rounds {
		for n := range s.Threads {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			cost, err := s.turn(tr, p, stands[:n+1])
			if err != nil {
				return nil, fmt.Errorf("%d threads: %w", n+1, err)
			}
			costs[n] = append(costs[n], cost)
		}
		fmt.Fprintf(s.Progress, "contention: %s, round %d of %d\n", tr.name, round+1, s.Rounds)
	}
	for n, c := range costs {
		rows = append(rows, Row{tr.name, n + 1, report.Summarise(c)})
	}
	return rows, nil
}

// turn is what a packet costs above the empty program, with a thread for each stand.
func (s Suite) turn(tr trial, p *ebpf.Program, stands []*harness.Harness) (float64, error) {
	base, err := s.together(tr, stands, func(h *harness.Harness, play harness.Play) (harness.Outcome, error) {
		empty, err := h.Empty(p)
		if err != nil {
			return harness.Outcome{}, err
		}
		return h.Run(empty, play)
	})
	if err != nil {
		return 0, err
	}
	cost, err := s.together(tr, stands, func(h *harness.Harness, play harness.Play) (harness.Outcome, error) {
		o, err := h.Run(p, play)
		if err == nil {
			err = o.Complete()
		}
		return o, err
	})
	if err != nil || !tr.fresh {
		return cost - base, err
	}
	return cost - base, forget()
}

// together has all stands run at once, each on a processor of its own, and returns the
// mean cost of a packet.
func (s Suite) together(tr trial, stands []*harness.Harness, run func(*harness.Harness, harness.Play) (harness.Outcome, error)) (float64, error) {
	costs, errs := make([]float64, len(stands)), make([]error, len(stands))
	begin := make(chan struct{})
	var ready, done sync.WaitGroup
	for i, h := range stands {
		play := harness.Play{Kinds: tr.kinds, First: i * s.Flows, Flows: s.Flows, Packets: laps * s.Flows, Shuffled: true}
		if tr.shared {
			play.First = 0
		}
		if tr.fresh {
			play.Packets = s.Flows
		}
		ready.Add(1)
		done.Go(func() {
			errs[i] = room.Anywhere(func() error {
				pinned := room.Pin(i)
				ready.Done()
				<-begin
				o, err := run(h, play)
				costs[i] = o.PerPacket()
				return errors.Join(pinned, err)
			})
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
	sum := 0.0
	for _, c := range costs {
		sum += c
	}
	return sum / float64(len(costs)), errors.Join(errs...)
}

// forget has the table forget the connections that a round has made.
func forget() error {
	var e datapath.Editor
	forgotten := e.View(func(t *datapath.Table) error { return t.Advance(2 * time.Minute) })
	return errors.Join(forgotten, e.Close())
}

// Table is what a packet cost by the number of processors, and how many times as many
// packets so many carry as one does.
func Table(rows []Row) [][]string {
	table := [][]string{{"packets", "processors", "ns per packet", "carry as many as"}}
	for _, r := range rows {
		table = append(table, []string{r.Case, fmt.Sprint(r.Threads), r.Cost.String(), fmt.Sprintf("%.2f", r.speedup(rows))})
	}
	return table
}

func (r Row) speedup(rows []Row) float64 {
	for _, one := range rows {
		if one.Case == r.Case && one.Threads == 1 {
			return float64(r.Threads) * one.Cost.Median / r.Cost.Median
		}
	}
	return 0
}

// Chart draws the costs by the number of processors.
func Chart(rows []Row) plot.Chart {
	c := plot.Chart{Title: "What a packet costs when several processors carry packets", X: "processors", Y: "ns per packet"}
	for _, tr := range trials {
		line := plot.Series{Name: tr.name}
		for _, r := range rows {
			if r.Case == tr.name {
				line.X, line.Y = append(line.X, float64(r.Threads)), append(line.Y, r.Cost.Median)
				line.Low, line.High = append(line.Low, r.Cost.Min), append(line.High, r.Cost.Max)
			}
		}
		c.Series = append(c.Series, line)
	}
	return c
}

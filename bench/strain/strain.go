// Package strain measures what a full table costs: its sweep, which nobody asks for; and
// what a packet costs when other processors have packets of the same service, through a
// table that it makes in the namespace it is called in, and takes away again. It compares
// EVS with nothing but itself.
package strain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/evs"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/internal/datapath"
)

// Of the connections, one in so many is opened before they are answered: few enough to
// be no flood.
const waiting = 32

// Suite is what to measure with.
type Suite struct {
	Scene    packet.Scene
	Link     int // index of the interface that packets come in by, in the room
	Flows    int // connections in the table
	Rounds   int
	Progress io.Writer
}

// Row is what a packet costs by so many processors at once, each with flows of its own.
type Row struct {
	Case    string
	Threads int
	Cost    report.Spread // nanoseconds of processor time
}

// Result is all that was measured.
type Result struct {
	Sweep report.Spread // share of a processor, in percent
	Rows  []Row
}

// gunner is one processor with its harness and flows.
type gunner struct {
	harness      *harness.Harness
	cpu          int
	first, flows int
}

// stage is what is measured upon.
type stage struct {
	Suite
	target  harness.Target
	gunners []*gunner
}

// Run measures everything, and removes the table whatever happens.
func (s Suite) Run(ctx context.Context) (r Result, err error) {
	g := stage{Suite: s}
	defer func() { err = errors.Join(err, g.close()) }()
	cpus := runtime.NumCPU()
	for cpu := range cpus {
		h, err := harness.New(s.Scene, s.Link, s.Flows)
		if err != nil {
			return r, err
		}
		share := s.Flows / cpus
		g.gunners = append(g.gunners, &gunner{harness: h, cpu: cpu, first: cpu * share, flows: share})
	}
	if g.target, err = evs.New("EVS", packet.Route, harness.Stage{Scene: s.Scene, Link: s.Link, Flows: s.Flows, Harness: g.gunners[0].harness}); err != nil {
		return r, err
	}
	for _, c := range []struct {
		name string
		play func(*gunner) (time.Duration, int, error)
	}{{"established", g.established}, {"a new connection with every packet", g.opening}} {
		for threads := 1; threads <= cpus; threads++ {
			cost, err := g.measure(ctx, threads, c.play)
			if err != nil {
				return r, fmt.Errorf("%s, %d processors: %w", c.name, threads, err)
			}
			fmt.Fprintf(s.Progress, "%s, by %d processors: %.0f ns\n", c.name, threads, cost.Median)
			r.Rows = append(r.Rows, Row{c.name, threads, cost})
		}
	}
	if err := g.target.Prepare(s.Flows); err != nil {
		return r, err
	}
	r.Sweep, err = g.sweep(ctx)
	return r, err
}

func (g *stage) close() error {
	var errs []error
	if g.target != nil {
		errs = append(errs, g.target.Close())
	}
	for _, one := range g.gunners {
		errs = append(errs, one.harness.Close())
	}
	return errors.Join(errs...)
}

// measure has the first processors play at once, in rounds with an empty table at first.
func (g *stage) measure(ctx context.Context, threads int, play func(*gunner) (time.Duration, int, error)) (report.Spread, error) {
	var costs []float64
	for range g.Rounds {
		if err := ctx.Err(); err != nil {
			return report.Spread{}, err
		}
		if err := g.target.Prepare(0); err != nil {
			return report.Spread{}, err
		}
		cost, err := g.round(threads, play)
		if err != nil {
			return report.Spread{}, err
		}
		costs = append(costs, cost)
	}
	return report.Summarise(costs), nil
}

// round is the mean cost of a packet over all processors.
func (g *stage) round(threads int, play func(*gunner) (time.Duration, int, error)) (float64, error) {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		failed  error
		spent   time.Duration
		packets int
	)
	for _, one := range g.gunners[:threads] {
		wg.Go(func() {
			err := pinned(one.cpu, func() error {
				time, n, err := play(one)
				mu.Lock()
				defer mu.Unlock()
				spent, packets = spent+time, packets+n
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil || packets == 0 {
		return 0, errors.Join(failed, fmt.Errorf("%d packets were counted", packets))
	}
	return float64(spent.Nanoseconds()) / float64(packets), nil
}

// pinned acts on a processor. The thread is given up afterwards.
func pinned(cpu int, act func() error) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("processor %d: %w", cpu, err)
	}
	return act()
}

// established opens a part of the processor's connections and plays packets of them.
func (g *stage) established(one *gunner) (time.Duration, int, error) {
	play := harness.Play{Kinds: []packet.Kind{packet.SYN}, First: one.first, Flows: one.flows / waiting, Shuffled: true}
	play.Packets = play.Flows
	if _, err := one.harness.Run(g.target.Program(), play); err != nil {
		return 0, 0, err
	}
	if err := one.harness.Answer(g.target.Program(), packet.Route, play); err != nil {
		return 0, 0, err
	}
	play.Kinds, play.Packets = []packet.Kind{packet.ACK}, one.flows
	return g.above(one, play)
}

// opening opens the processor's connections, each part answered before the next.
func (g *stage) opening(one *gunner) (spent time.Duration, packets int, err error) {
	step := one.flows / waiting
	for first := 0; first+step <= one.flows; first += step {
		play := harness.Play{Kinds: []packet.Kind{packet.SYN}, First: one.first + first, Flows: step, Packets: step, Shuffled: true}
		cost, n, err := g.above(one, play)
		if err != nil {
			return 0, 0, err
		}
		spent, packets = spent+cost, packets+n
		if err := one.harness.Answer(g.target.Program(), packet.Route, play); err != nil {
			return 0, 0, err
		}
	}
	return spent, packets, nil
}

// above is what a play costs above the same by the empty program.
func (g *stage) above(one *gunner, play harness.Play) (time.Duration, int, error) {
	empty, err := one.harness.Empty(g.target.Program())
	if err != nil {
		return 0, 0, err
	}
	alone, err := one.harness.Run(empty, play)
	if err != nil {
		return 0, 0, err
	}
	both, err := one.harness.Run(g.target.Program(), play)
	if err == nil {
		err = both.Complete()
	}
	return both.CPU - alone.CPU, play.Packets, err
}

// sweep runs what the timer runs in a second: a pass over the tables of both families, of
// which one without connections is passed by. The program that is run makes two passes.
func (g *stage) sweep(ctx context.Context) (report.Spread, error) {
	p, err := datapath.SweepProgram()
	if err != nil {
		return report.Spread{}, err
	}
	defer p.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	time.Sleep(3 * time.Second) // the timer has to learn that there is nothing of IPv6
	var shares []float64
	for range g.Rounds {
		if err := ctx.Err(); err != nil {
			return report.Spread{}, err
		}
		start, err := harness.CPUTime()
		if err != nil {
			return report.Spread{}, err
		}
		if _, err := p.Run(&ebpf.RunOptions{Data: make([]byte, packet.Len)}); err != nil {
			return report.Spread{}, fmt.Errorf("sweep: %w", err)
		}
		end, err := harness.CPUTime()
		if err != nil {
			return report.Spread{}, err
		}
		shares = append(shares, 100*((end-start)/2).Seconds())
	}
	r := report.Summarise(shares)
	fmt.Fprintf(g.Progress, "the sweep of %s connections: %.2f %% of a processor\n", report.Flows(g.Flows), r.Median)
	return r, nil
}

// Table is the rows as cells, the head first.
func Table(rows []Row) [][]string {
	table := [][]string{{"case", "processors", "ns a packet", "packets a second, all"}}
	for _, r := range rows {
		table = append(table, []string{
			r.Case, fmt.Sprint(r.Threads), r.Cost.String(),
			fmt.Sprintf("%.1f million", float64(r.Threads)*1e3/r.Cost.Median),
		})
	}
	return table
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
)

// measurement is how to measure, and where to tell of it.
type measurement struct {
	harness  *harness.Harness
	stage    harness.Stage
	flows    []int
	rounds   int
	round    time.Duration // how long a round should take
	progress io.Writer
}

// The fewest and the most packets of a round.
const (
	fewest = 1_000_000
	most   = 4_000_000
)

// method measures every trial of a forwarding method.
func (m *measurement) method(ctx context.Context, method packet.Method) (rows []report.Row, err error) {
	var targets []harness.Target
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.Close())
		}
	}()
	for _, c := range contenders {
		if c.method != method {
			continue
		}
		t, err := c.open(c, m.stage)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", c.name, err)
		}
		targets = append(targets, t)
	}
	for _, flows := range m.flows {
		more, err := m.established(ctx, method, targets, flows)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	for _, flows := range m.flows {
		more, err := m.fresh(ctx, method, targets, flows)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// established measures the trials whose connections stand.
func (m *measurement) established(ctx context.Context, method packet.Method, targets []harness.Target, flows int) ([]report.Row, error) {
	for _, t := range targets {
		fmt.Fprintf(m.progress, "%s, %s: opening connections for %s\n", t.Name(), method, report.Flows(flows))
		if err := t.Prepare(flows); err != nil {
			return nil, err
		}
		if err := m.harness.Verify(t, method, establishedKinds(method), flows); err != nil {
			return nil, err
		}
	}
	var rows []report.Row
	for _, trial := range trials {
		if trial.method != method || trial.begin != established {
			continue
		}
		more, err := m.trial(ctx, trial, targets, flows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trial.name, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func establishedKinds(m packet.Method) []packet.Kind {
	if m == packet.Route {
		return []packet.Kind{packet.ACK}
	}
	return []packet.Kind{packet.ACK, packet.ReplyACK}
}

// fresh measures the trials in which every packet opens a connection. With few
// flows the start of the run would be all one sees.
func (m *measurement) fresh(ctx context.Context, method packet.Method, targets []harness.Target, flows int) ([]report.Row, error) {
	const enough = 100_000
	if flows < enough {
		return nil, nil
	}
	var rows []report.Row
	for _, trial := range trials {
		if trial.method != method || trial.begin == established {
			continue
		}
		for _, t := range targets {
			if err := t.Prepare(0); err != nil {
				return nil, err
			}
			if err := m.harness.Verify(t, method, trial.kinds, flows); err != nil {
				return nil, err
			}
		}
		more, err := m.trial(ctx, trial, targets, flows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trial.name, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// trial runs the rounds. Within a round every target has its turn, each next
// to a turn of the empty program, so that whatever slows the machine for a
// while slows them alike.
func (m *measurement) trial(ctx context.Context, tr trial, targets []harness.Target, flows int) ([]report.Row, error) {
	packets := make([]int, len(targets))
	costs, bases := make([][]float64, len(targets)), make([][]float64, len(targets))
	for i, t := range targets {
		n, err := m.packets(tr, t, flows)
		if err != nil {
			return nil, err
		}
		packets[i] = n
	}
	for range m.rounds {
		for i, t := range targets {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			base, cost, err := m.turn(tr, t, flows, packets[i])
			if err != nil {
				return nil, fmt.Errorf("%s, %d flows: %w", t.Name(), flows, err)
			}
			bases[i] = append(bases[i], base)
			costs[i] = append(costs[i], cost-base)
		}
	}
	var rows []report.Row
	for i, t := range targets {
		row := report.Row{
			Case: tr.name, Flows: flows, Target: t.Name(), Packets: packets[i],
			Cost: report.Summarise(costs[i]), Harness: report.Summarise(bases[i]),
		}
		fmt.Fprintf(m.progress, "%s, %s, %s: %.1f ns\n", tr.name, report.Flows(flows), t.Name(), row.Cost.Median)
		rows = append(rows, row)
	}
	return rows, nil
}

// turn is one round of one target: what the harness costs, and both together.
func (m *measurement) turn(tr trial, t harness.Target, flows, packets int) (base, cost float64, err error) {
	empty, err := m.harness.Empty(t.Program())
	if err != nil {
		return 0, 0, err
	}
	if tr.begin != established {
		return m.openings(tr, t, empty, flows)
	}
	alone, err := m.play(tr, empty, flows, packets)
	if err != nil {
		return 0, 0, err
	}
	both, err := m.play(tr, t.Program(), flows, packets)
	if err != nil {
		return 0, 0, err
	}
	if err := both.Complete(); err != nil {
		return 0, 0, err
	}
	return alone.PerPacket(), both.PerPacket(), nil
}

// waiting is the part of all connections that at most wait for their answer, one in so
// many: few enough that no balancer takes them for a flood.
const waiting = 32

// openings is a round in which each packet opens a connection, in a table that is empty
// at first. Where the connections are answered, they are so a part at a time, and what
// that costs is not measured.
func (m *measurement) openings(tr trial, t harness.Target, empty *ebpf.Program, flows int) (base, cost float64, err error) {
	if err := t.Prepare(0); err != nil {
		return 0, 0, err
	}
	step := flows
	if tr.begin == answered {
		step = max(1, m.stage.Flows/waiting)
	}
	// what collects Go's garbage interrupts a run now and then, which is not to be
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var alone, both time.Duration
	for first := 0; first < flows; first += step {
		play := harness.Play{Kinds: tr.kinds, First: first, Flows: min(step, flows-first), Shuffled: true}
		play.Packets = play.Flows
		a, err := m.harness.Run(empty, play)
		if err != nil {
			return 0, 0, err
		}
		b, err := m.harness.Run(t.Program(), play)
		if err == nil {
			err = b.Complete()
		}
		if err != nil {
			return 0, 0, err
		}
		if b.Packets != uint64(play.Packets) {
			return 0, 0, errors.New("a signal made the kernel start over, so that some connections were not new: run the benchmark again")
		}
		alone, both = alone+a.CPU, both+b.CPU
		if tr.begin == answered {
			if err := m.harness.Answer(t.Program(), tr.method, play); err != nil {
				return 0, 0, err
			}
		}
	}
	return float64(alone.Nanoseconds()) / float64(flows), float64(both.Nanoseconds()) / float64(flows), nil
}

func (m *measurement) play(tr trial, p *ebpf.Program, flows, packets int) (harness.Outcome, error) {
	return m.harness.Run(p, harness.Play{Kinds: tr.kinds, Flows: flows, Packets: packets, Shuffled: true})
}

// packets warms the target up and says how many packets make a round of the
// wanted length: at least once through all there is to see.
func (m *measurement) packets(tr trial, t harness.Target, flows int) (int, error) {
	if tr.begin != established {
		return flows, nil
	}
	all := flows * len(tr.kinds)
	n := max(all, fewest/10)
	o, err := m.play(tr, t.Program(), flows, n)
	if err != nil {
		return 0, err
	}
	if err := o.Complete(); err != nil {
		return 0, fmt.Errorf("%s, %d flows: %w", t.Name(), flows, err)
	}
	return max(all, roundLength(m.round, o.PerPacket())), nil
}

// roundLength is how many packets of the given cost fill a round.
func roundLength(round time.Duration, perPacket float64) int {
	return min(max(int(float64(round.Nanoseconds())/perPacket), fewest), most)
}

// Package sweep measures what the sweep of a full table takes, by which connections end
// that nobody asks about: through a table that it makes in the namespace it is called in,
// and takes away again. It waits for no connection to end.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/evs"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/internal/datapath"
)

// Suite is what to measure with.
type Suite struct {
	Scene    packet.Scene
	Link     int // index of the interface that packets come in by, in the room
	Flows    int // connections in the table
	Rounds   int
	Progress io.Writer
}

// asleep is how long it takes until the timer has learnt that a family has no connections.
const asleep = 3 * time.Second

// Run runs what the timer runs in a second: a pass over the tables of both families, of
// which that of IPv6, without connections, is passed by. It returns the share of a
// processor in percent.
func (s Suite) Run(ctx context.Context) (share report.Spread, err error) {
	h, err := harness.New(s.Scene, s.Link, s.Flows)
	if err != nil {
		return share, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	target, err := evs.New("EVS", packet.Route, harness.Stage{Scene: s.Scene, Link: s.Link, Flows: s.Flows, Harness: h})
	if err != nil {
		return share, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if err := target.Prepare(s.Flows); err != nil {
		return share, err
	}
	p, err := datapath.SweepProgram()
	if err != nil {
		return share, err
	}
	defer p.Close()
	time.Sleep(asleep)
	var shares []float64
	for range s.Rounds {
		if err := ctx.Err(); err != nil {
			return share, err
		}
		spent, err := pass(p)
		if err != nil {
			return share, err
		}
		shares = append(shares, 100*spent.Seconds())
	}
	share = report.Summarise(shares)
	fmt.Fprintf(s.Progress, "the sweep of %s connections: %.2f %% of a processor\n", report.Flows(s.Flows), share.Median)
	return share, nil
}

// pass is the processor time of a pass; the program makes two.
func pass(p *ebpf.Program) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start, err := harness.CPUTime()
	if err != nil {
		return 0, err
	}
	if _, err := p.Run(&ebpf.RunOptions{Data: make([]byte, packet.Len)}); err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	end, err := harness.CPUTime()
	return (end - start) / 2, err
}

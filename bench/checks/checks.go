// Package checks measures what it costs to check many servers every second: a
// runner of internal/health on one side, as many listening sockets in a process of
// their own on the other, on lo of the namespace it is called in.
package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/internal/health"
)

// A table of 500 services with 10 destinations each, an address to a service.
const (
	services     = 500
	destinations = 10
	firstPort    = 8000
)

// network are the addresses: two prefixes of the documentation, 250 of each.
var network = []string{"198.51.100.0/24", "203.0.113.0/24"}

// Suite is what to measure with.
type Suite struct {
	// Settle passes before Measure, which is measured.
	Settle, Measure time.Duration
	Progress        io.Writer
}

// counts are what came of checks.
type counts struct {
	results, failures atomic.Uint64
}

// Run measures.
func (s Suite) Run(ctx context.Context) (figures []report.Figure, err error) {
	if err := furnish(); err != nil {
		return nil, fmt.Errorf("addresses to check: %w", err)
	}
	stop, err := startServer(ctx)
	if err != nil {
		return nil, fmt.Errorf("servers to check: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	var c counts
	r := health.NewRunner(2*services*destinations, rand.New(rand.NewPCG(1, 2)), func(_ string, _, is health.State) {
		c.results.Add(1)
		if last, _ := is.Last(); !last.Up {
			c.failures.Add(1)
		}
	})
	if err := r.Set(tasks()); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { r.Run(running); close(ended) }()
	defer func() { cancel(); <-ended }()
	return s.measure(ctx, r, &c)
}

func (s Suite) measure(ctx context.Context, r *health.Runner, c *counts) ([]report.Figure, error) {
	fmt.Fprintf(s.Progress, "checking %d destinations every second\n", services*destinations)
	if err := sleep(ctx, s.Settle); err != nil {
		return nil, err
	}
	before, results, failures, used, began := r.Load(), c.results.Load(), c.failures.Load(), processorTime(), time.Now()
	if err := sleep(ctx, s.Measure); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	after := r.Load()
	return []report.Figure{
		{Name: "checks made", Value: report.One(float64(c.results.Load()-results) / took), Unit: "/s"},
		{Name: "processor, of one core", Value: report.One(100 * (processorTime() - used).Seconds() / took), Unit: "%", Most: 50},
		{Name: "checks begun more than a tenth of their interval late", Value: report.One(float64(after.Late - before.Late)), Most: 0.5},
		{Name: "checks failed, though the servers are well", Value: report.One(float64(c.failures.Load() - failures)), Most: 0.5},
		{Name: "the latest start of all", Value: report.One(after.Worst.Seconds() * 1000), Unit: "ms"},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// processorTime is what this process has used, of the kernel too.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// furnish makes all addresses of network ones of this namespace.
func furnish() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	for _, prefix := range network {
		_, dst, err := net.ParseCIDR(prefix)
		if err != nil {
			return err
		}
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}); err != nil {
			return err
		}
	}
	return nil
}

// targets are where servers listen.
func targets() (all []netip.AddrPort) {
	for i := range services {
		a := netip.MustParsePrefix(network[i%len(network)]).Addr()
		for range 1 + i/len(network) {
			a = a.Next()
		}
		for d := range uint16(destinations) {
			all = append(all, netip.AddrPortFrom(a, firstPort+d))
		}
	}
	return all
}

func tasks() (all []health.Task) {
	for _, at := range targets() {
		all = append(all, health.Task{Key: at.String(), Target: health.Target{Addr: at},
			Spec: health.Spec{Kind: "tcp", Interval: health.Duration(time.Second), Timeout: health.Duration(time.Second)}})
	}
	return all
}

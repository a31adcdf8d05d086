// Package tcp measures new TCP connections through a director, each with a request and
// its answer: how many a second there can be, and how long each takes when there are
// half as many. Each contender has a client, a director and a server of its own, in
// namespaces that the kernel takes away with the process.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// port is that of the VIP and of the server.
const port = 8080

var service = peers.Service{
	VIP:    netip.MustParseAddrPort("203.0.113.10:8080"),
	Server: netip.AddrPortFrom(peers.ServerAddr, port),
}

// contender is who stands between client and server.
type contender struct {
	name     string
	director peers.Director
}

const (
	evsNAT       = "EVS NAT"
	nftablesName = "nftables DNAT"
	haproxyName  = "HAProxy"
)

// contenders are all that is measured. The proxies have as many threads as there are
// processors.
func contenders() []contender {
	cores := runtime.NumCPU()
	return []contender{
		{evsNAT, peers.Director{Serve: peers.EVS{Forwarding: ipvs.Destination{Method: ipvs.Masquerade}}.Serve}},
		{"EVS DR", peers.Director{Serve: peers.EVS{Forwarding: ipvs.Destination{Method: ipvs.Route}}.Serve, Direct: true}},
		{nftablesName, peers.Director{Serve: peers.Nftables}},
		{haproxyName, peers.Director{Serve: peers.Haproxy(cores)}},
		{"nginx stream", peers.Director{Serve: peers.Nginx(cores)}},
	}
}

// Suite is what to measure with.
type Suite struct {
	Rounds   int
	Round    time.Duration // of a contender, once at full and once at half load
	Progress io.Writer
}

// connections are open at a time at full load.
const connections = 64

// Row is what a contender did.
type Row struct {
	Name string        `json:"name"`
	Rate report.Spread `json:"connections_per_second"`
	// Half is the pace at half load, and how long connections then took, in µs.
	Half   float64       `json:"half_load_per_second"`
	P50    report.Spread `json:"p50_us"`
	P99    report.Spread `json:"p99_us"`
	P999   report.Spread `json:"p999_us"`
	Failed int           `json:"failed"`

	rates, p99s []float64
}

// racer is a contender under way.
type racer struct {
	contender
	path                    *peers.Path
	stop                    func() error
	rates, p50s, p99s, tail []float64
	half                    float64
	failed                  int
}

// Run measures all contenders, who take turns.
func (s Suite) Run(ctx context.Context) (rows []Row, err error) { return s.race(ctx, contenders()) }

func (s Suite) race(ctx context.Context, field []contender) (rows []Row, err error) {
	var racers []*racer
	defer func() {
		for _, r := range racers {
			err = errors.Join(err, r.close())
		}
	}()
	for _, c := range field {
		fmt.Fprintf(s.Progress, "TCP connections: %s\n", c.name)
		r := &racer{contender: c, stop: func() error { return nil }}
		racers = append(racers, r)
		if err := r.prepare(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if err := s.rounds(ctx, racers, s.full); err != nil {
		return nil, err
	}
	halve(racers)
	if err := s.rounds(ctx, racers, s.halfway); err != nil {
		return nil, err
	}
	for _, r := range racers {
		rows = append(rows, r.row())
	}
	return rows, nil
}

// prepare builds the path and starts the server, which answers a first connection.
func (r *racer) prepare(ctx context.Context) (err error) {
	if r.path, err = peers.NewPath(ctx, r.director, service); err != nil {
		return err
	}
	if err := r.path.Client.Settle(ctx, manyPorts); err != nil {
		return err
	}
	return r.path.Server.Do(func() (err error) {
		at := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
		stop, err := room.StartRole(ctx, serving, at.String())
		if err == nil {
			r.stop = stop
		}
		return err
	})
}

// manyPorts lets a client make many connections: from more ports, and from one again
// soon after it has closed a connection there first, as it does where a proxy passes on
// the server's end later than its answer.
func manyPorts(hostnet.Facts) hostnet.Want {
	return hostnet.Want{Sysctl: hostnet.Values{"net.ipv4.ip_local_port_range": "1024 65535", "net.ipv4.tcp_tw_reuse": "1"}}
}

// rounds has each contender take its turn.
func (s Suite) rounds(ctx context.Context, racers []*racer, turn func(context.Context, *racer) error) error {
	for round := range s.Rounds {
		for i := range racers {
			r := racers[(i+round)%len(racers)] // who begins changes
			if err := errors.Join(ctx.Err(), turn(ctx, r)); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		fmt.Fprintf(s.Progress, "TCP connections: round %d of %d\n", round+1, s.Rounds)
	}
	return nil
}

// full is a turn at full load.
func (s Suite) full(ctx context.Context, r *racer) error {
	return r.path.Client.Do(func() error {
		rate, err := wrk(ctx, "http://"+service.VIP.String()+"/", runtime.NumCPU(), connections, s.Round)
		r.rates = append(r.rates, rate)
		return err
	})
}

// halve chooses the pace: half of what nftables makes, or half of one's own where that
// is less.
func halve(racers []*racer) {
	yardstick := 0.0
	for _, r := range racers {
		if r.name == nftablesName {
			yardstick = report.Summarise(r.rates).Median / 2
		}
	}
	for _, r := range racers {
		r.half = min(yardstick, report.Summarise(r.rates).Median/2)
		if r.half >= 0.9*yardstick {
			r.half = yardstick // the same for those who are as fast
		}
	}
}

// halfway is a turn at half load.
func (s Suite) halfway(_ context.Context, r *racer) error {
	return r.path.Client.Do(func() error {
		l, err := pace(service.VIP, r.half, s.Round)
		if err != nil {
			return err
		}
		r.failed += l.Failed
		r.p50s, r.p99s, r.tail = append(r.p50s, micro(l.P50)), append(r.p99s, micro(l.P99)), append(r.tail, micro(l.P999))
		return nil
	})
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (r *racer) row() Row {
	return Row{
		Name: r.name, Rate: report.Summarise(r.rates), Half: r.half,
		P50: report.Summarise(r.p50s), P99: report.Summarise(r.p99s), P999: report.Summarise(r.tail),
		Failed: r.failed, rates: r.rates, p99s: r.p99s,
	}
}

func (r *racer) close() error {
	err := r.stop()
	if r.path != nil {
		err = errors.Join(err, r.path.Close())
	}
	return err
}

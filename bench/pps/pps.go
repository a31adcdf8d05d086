// Package pps measures how many packets per second a director forwards on one
// processor: a generator in the kernel on one side, a sink that counts on the other,
// joined to the director by veth. Each contender has a client, a director and a
// server of its own, in namespaces that the kernel takes away with the process.
package pps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

// Suite is what to measure with.
type Suite struct {
	Scene    packet.Scene
	Flows    int
	Rounds   int
	Round    time.Duration // about how long a contender runs in a round
	CPU      int
	Progress io.Writer
}

// Row is what a contender forwarded.
type Row struct {
	Name  string        `json:"name"`
	Rate  report.Spread `json:"packets_per_second"`
	Ratio report.Spread `json:"by_nftables"` // round by round
	// Lost is the share of the packets sent that never arrived.
	Lost float64 `json:"lost"`
}

// racer is a contender under way.
type racer struct {
	contender
	wire       *wire
	sink       *sink
	harness    *harness.Harness
	packets    int // a round
	rates      []float64
	sent, came uint64
}

// Run measures all contenders, who take turns.
func (s Suite) Run(ctx context.Context) (rows []Row, err error) {
	return s.race(ctx, contenders(s.Flows))
}

func (s Suite) race(ctx context.Context, field []contender) (rows []Row, err error) {
	var racers []*racer
	defer func() {
		for _, r := range racers {
			err = errors.Join(err, r.close())
		}
	}()
	for _, c := range field {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fmt.Fprintf(s.Progress, "packets per second, %s: %d flows\n", c.name, s.Flows)
		r := &racer{contender: c}
		racers = append(racers, r)
		if err := s.prepare(ctx, r); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range s.Rounds {
		for turn := range racers {
			r := racers[(turn+round)%len(racers)] // who begins changes
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := s.turn(r); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			fmt.Fprintf(s.Progress, "packets per second, round %d of %d, %s: %.2f Mpps\n", round+1, s.Rounds, r.name, r.rates[round]/1e6)
		}
	}
	var yardstick []float64
	for _, r := range racers {
		if r.name == nftablesName {
			yardstick = r.rates
		}
	}
	for _, r := range racers {
		rows = append(rows, Row{r.name, report.Summarise(r.rates), report.Over(r.rates, yardstick), 1 - float64(r.came)/float64(r.sent)})
	}
	return rows, nil
}

// Table is what each forwarded, and what a packet cost.
func Table(rows []Row) [][]string {
	table := [][]string{{"director", "packets per second, millions", "ns per packet", "by nftables DNAT", "lost"}}
	for _, r := range rows {
		mega := report.Spread{Median: r.Rate.Median / 1e6, Min: r.Rate.Min / 1e6, Max: r.Rate.Max / 1e6}
		table = append(table, []string{r.Name, mega.String(), fmt.Sprintf("%.0f", 1e9/r.Rate.Median), r.Ratio.String(), fmt.Sprintf("%.4f %%", 100*r.Lost)})
	}
	return table
}

// Figures are the bars.
func Figures(rows []Row) (figures []report.Figure) {
	for _, r := range rows {
		if least, ok := bars[r.Name]; ok {
			figures = append(figures, report.Figure{Name: r.Name + " / " + nftablesName, Value: r.Ratio, Least: least})
		}
	}
	return figures
}

// Chart draws the rates.
func Chart(rows []Row) plot.Chart {
	var names []string
	var rates []report.Spread
	for _, r := range rows {
		names, rates = append(names, r.Name), append(rates, r.Rate)
	}
	return report.Bars("Packets per second on one processor", "packets per second", names, rates)
}

// warm is how many packets tell how long a round is.
const warm = 200_000

func (s Suite) prepare(ctx context.Context, r *racer) (err error) {
	if r.harness, err = harness.New(s.Scene, 0, s.Flows); err != nil {
		return err
	}
	if r.wire, err = newWire(ctx, s.Scene, r.contender, r.harness); err != nil {
		return err
	}
	if r.serve == nil {
		r.sink, err = newSink(r.wire.director, r.wire.outsideLink, s.Scene.Director)
	} else {
		r.sink, err = newSink(r.wire.server, r.wire.serverLink, s.Scene.RealMAC)
	}
	if err != nil {
		return err
	}
	if r.serve != nil {
		if err := errors.Join(s.establish(r), s.verify(r)); err != nil {
			return err
		}
	}
	r.packets = warm
	if err := s.turn(r); err != nil {
		return err
	}
	r.packets = int(s.Round.Seconds() * r.rates[0])
	r.rates, r.sent, r.came = nil, 0, 0
	return nil
}

// handshakes is how many connections are opened at a time: of the half-open, a
// director may have room for few.
const handshakes = 4000

// establish opens the connections of all flows, by packets from both ends.
func (s Suite) establish(r *racer) error {
	for first := 0; first < s.Flows; first += handshakes {
		n := min(handshakes, s.Flows-first)
		for _, k := range []packet.Kind{packet.SYN, packet.SYNACK, packet.ACK} {
			play := harness.Play{Kinds: []packet.Kind{k}, First: first, Flows: n, Packets: n}
			place, link := r.wire.client, r.wire.clientLink
			if k.Reply {
				if r.method == packet.Route {
					continue
				}
				place, link = r.wire.server, r.wire.serverLink
			}
			if err := place.DoOn(s.CPU, func() error {
				_, _, err := r.harness.Send(link, play)
				return err
			}); err != nil {
				return fmt.Errorf("open connections, %s: %w", k.Name, err)
			}
		}
	}
	return nil
}

// send plays established packets and returns what came of them.
func (s Suite) send(r *racer, flows, packets int) (sent, came uint64, took time.Duration, err error) {
	before, err := r.sink.count()
	if err != nil {
		return 0, 0, 0, err
	}
	err = r.wire.client.DoOn(s.CPU, func() (err error) {
		sent, took, err = r.harness.Send(r.wire.clientLink, harness.Play{Kinds: []packet.Kind{packet.ACK}, Flows: flows, Packets: packets, Shuffled: true})
		return err
	})
	if err != nil {
		return 0, 0, 0, err
	}
	after, err := r.sink.count()
	return sent, after - before, took, err
}

// verify makes sure that what arrives is what should.
func (s Suite) verify(r *racer) error {
	if err := r.sink.keep(true); err != nil {
		return err
	}
	sent, came, _, err := s.send(r, 1, 1)
	if err != nil {
		return err
	}
	if came != sent {
		return fmt.Errorf("of %d packets %d arrived", sent, came)
	}
	frame, err := r.sink.frame()
	if err != nil {
		return err
	}
	if frame, err = unwrap(frame, r.outer); err != nil {
		return err
	}
	if err := s.Scene.Expect(r.method, packet.ACK, 0).Check(frame); err != nil {
		return fmt.Errorf("what arrives is not what should: %w", err)
	}
	return r.sink.keep(false)
}

// header is that of Ethernet.
const header = 14

// unwrap takes the outer headers off a frame, and gives it the padding that a
// router takes off.
func unwrap(frame []byte, outer int) ([]byte, error) {
	if len(frame) < header+outer {
		return nil, fmt.Errorf("a frame of %d bytes, too short for %d of outer headers", len(frame), outer)
	}
	whole := append(append([]byte{}, frame[:header]...), frame[header+outer:]...)
	return append(whole, make([]byte, max(0, packet.Len-len(whole)))...), nil
}

func (s Suite) turn(r *racer) error {
	sent, came, took, err := s.send(r, s.Flows, r.packets)
	if err != nil {
		return err
	}
	r.sent, r.came = r.sent+sent, r.came+came
	r.rates = append(r.rates, float64(came)/took.Seconds())
	return nil
}

func (r *racer) close() error {
	var err error
	if r.sink != nil {
		err = r.sink.close()
	}
	if r.wire != nil {
		err = errors.Join(err, r.wire.close())
	}
	if r.harness != nil {
		err = errors.Join(err, r.harness.Close())
	}
	return err
}

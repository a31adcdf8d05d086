package pps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/ipvs"
)

// The names of who makes conversations possible, and of the yardsticks.
const (
	xdpTalk     = "EVS XDP NAT"
	tcTalk      = "EVS tc NAT"
	haproxyName = "HAProxy"
)

// talkers are who stands between the ends of conversations. On one processor a proxy
// has one thread.
func talkers(conns int) []contender {
	nat := ipvs.Destination{Method: ipvs.Masquerade}
	return []contender{
		{name: xdpTalk, serve: peers.EVS{Forwarding: nat, Mode: ipvs.AttachXDP, Conns: conns}.Serve},
		{name: tcTalk, serve: peers.EVS{Forwarding: nat, Mode: ipvs.AttachTC, Conns: conns}.Serve},
		{name: nftablesName, serve: peers.Nftables},
		{name: haproxyName, serve: peers.Haproxy(1)},
		{name: "nginx stream", serve: peers.Nginx(1)},
	}
}

// Talks measures how many TCP connections a second a director makes possible on one
// processor, whose ends cost next to nothing: each is opened, carries a request and its
// answer, and is closed, by packets that answer each other (bpf/talk.c).
type Talks struct {
	Scene    packet.Scene
	Rounds   int
	Round    time.Duration
	CPU      int
	Progress io.Writer
}

// TalkRow is what a contender did.
type TalkRow struct {
	Name string        `json:"name"`
	Rate report.Spread `json:"connections_per_second"`
	// Unanswered is the share of those begun that had no answer.
	Unanswered float64 `json:"unanswered"`

	rates []float64
}

const (
	// callers are the clients' addresses and ports, each of which comes again when
	// the others have had their turn.
	callers = 50_000
	// burst is how many begin at a time; the next do when all are answered.
	burst = 1000
	// lap is how far the sequence numbers are put forward for those who come again.
	lap = 1 << 16
	// room for connections that have ended and are still remembered
	remembered = 2 * callers
)

// talker is a contender under way.
type talker struct {
	contender
	wire            *wire
	harness         *harness.Harness
	objects         bpf.TalkObjects
	links           []link.Link
	next            int // caller
	lap             uint32
	rates           []float64
	begun, answered uint64
}

// Run measures all contenders, who take turns.
func (s Talks) Run(ctx context.Context) ([]TalkRow, error) { return s.race(ctx, talkers(remembered)) }

func (s Talks) race(ctx context.Context, field []contender) (rows []TalkRow, err error) {
	var all []*talker
	defer func() {
		for _, t := range all {
			err = errors.Join(err, t.close())
		}
	}()
	for _, c := range field {
		fmt.Fprintf(s.Progress, "connections on one processor: %s\n", c.name)
		t := &talker{contender: c}
		all = append(all, t)
		if err := s.prepare(ctx, t); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range s.Rounds {
		for turn := range all {
			t := all[(turn+round)%len(all)] // who begins changes
			if err := errors.Join(ctx.Err(), s.turn(t)); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			fmt.Fprintf(s.Progress, "connections on one processor, round %d of %d, %s: %.0f a second\n", round+1, s.Rounds, t.name, t.rates[round])
		}
	}
	for _, t := range all {
		rows = append(rows, TalkRow{t.name, report.Summarise(t.rates), 1 - float64(t.answered)/float64(t.begun), t.rates})
	}
	return rows, nil
}

// prepare builds the wire with an end that talks on either side, and has every caller
// come once: what is measured is those who come again.
func (s Talks) prepare(ctx context.Context, t *talker) (err error) {
	if t.harness, err = harness.New(s.Scene, 0, callers); err != nil {
		return err
	}
	serve := t.serve
	t.serve = func(ctx context.Context, p peers.Service) (peers.Stop, error) {
		if err := room.Pin(s.CPU); err != nil { // and with this thread what it starts
			return nil, err
		}
		return serve(ctx, p)
	}
	if t.wire, err = newWire(ctx, s.Scene, t.contender, t.harness); err != nil {
		return err
	}
	if err := bpf.LoadTalkObjects(&t.objects, nil); err != nil {
		return fmt.Errorf("load the ends: %w", err)
	}
	for _, end := range []struct {
		place   room.Place
		program *ebpf.Program
		index   int
	}{{t.wire.client, t.objects.ClientEnd, t.wire.clientLink}, {t.wire.server, t.objects.ServerEnd, t.wire.serverLink}} {
		if err := end.place.Do(func() error {
			l, err := link.AttachXDP(link.XDPOptions{Program: end.program, Interface: end.index, Flags: link.XDPDriverMode})
			t.links = append(t.links, l)
			return err
		}); err != nil {
			return fmt.Errorf("attach the ends: %w", err)
		}
	}
	if err := s.talk(t, func() bool { return t.lap == 0 }); err != nil {
		return err
	}
	t.begun, t.answered = 0, 0
	return nil
}

// answers is how many there have been.
func (t *talker) answers() (n uint64, err error) {
	var all []bpf.TalkTalked
	if err := t.objects.Talks.Lookup(uint32(0), &all); err != nil {
		return 0, fmt.Errorf("read the client's end: %w", err)
	}
	for _, one := range all {
		n += one.Answers
	}
	return n, nil
}

// patience is how long an answer may take.
const patience = 2 * time.Second

// talk has bursts of callers begin, each when those before are answered, while more says
// so. It keeps to one thread: another would have to wait for its turn on a busy machine.
func (s Talks) talk(t *talker, more func() bool) error {
	return t.wire.client.DoOn(s.CPU, func() error {
		for more() {
			if err := t.burst(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *talker) burst() error {
	before, err := t.answers()
	if err != nil {
		return err
	}
	syn := packet.SYN
	syn.Since = t.lap * lap
	begun, _, err := t.harness.Send(t.wire.clientLink, harness.Play{Kinds: []packet.Kind{syn}, First: t.next, Flows: burst, Packets: burst})
	if err != nil {
		return err
	}
	if t.next += burst; t.next+burst > callers {
		t.next, t.lap = 0, t.lap+1
	}
	answered := uint64(0)
	for end := time.Now().Add(patience); ; {
		now, err := t.answers()
		if err != nil {
			return err
		}
		if answered = now - before; answered >= begun || time.Now().After(end) {
			break
		}
		pause := unix.NsecToTimespec(int64(50 * time.Microsecond)) // the proxy's turn
		_ = unix.Nanosleep(&pause, nil)                            // a signal may end it
	}
	t.begun, t.answered = t.begun+begun, t.answered+answered
	if answered == 0 {
		return errors.New("nobody was answered")
	}
	return nil
}

func (s Talks) turn(t *talker) error {
	before := t.answered
	var began time.Time
	var took time.Duration
	err := s.talk(t, func() bool {
		if began.IsZero() {
			began = time.Now()
		}
		took = time.Since(began)
		return took < s.Round
	})
	t.rates = append(t.rates, float64(t.answered-before)/took.Seconds())
	return err
}

func (t *talker) close() error {
	var err error
	for _, l := range t.links {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if t.harness != nil {
		err = errors.Join(err, t.harness.Close())
	}
	if t.wire != nil {
		err = errors.Join(err, t.wire.close())
	}
	return errors.Join(err, t.objects.Close())
}

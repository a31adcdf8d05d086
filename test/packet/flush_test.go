package packet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// flushSetup has services of every kind that a filter can tell apart.
const flushSetup = `-A -t 198.51.100.129:80 -s rr
-a -t 198.51.100.129:80 -r 203.0.113.1:80 -m
-a -t 198.51.100.129:80 -r 203.0.113.2:8080 -m
-A -u 198.51.100.129:53 -s rr
-a -u 198.51.100.129:53 -r 203.0.113.1:53 -g
-A -t [2001:db8:2::81]:80 -s rr
-a -t [2001:db8:2::81]:80 -r [2001:db8:3::1]:80 -m
-A -f 7 -s rr
-a -f 7 -r 203.0.113.3 -g
`

// populate makes, of both halves of a client network: 4 connections to either server of
// the first service, of each of which one is half-open; 3 of UDP; 2 of IPv6, and one by
// a mark.
func populate(t *testing.T, r *runner) {
	t.Helper()
	commands(t, r.bed, flushSetup)
	mark := ipvs.MarkRule{Destination: netip.MustParsePrefix("198.51.100.200/32"), Mark: 7}
	if err := r.bed.Table().AddMark(mark); err != nil {
		t.Fatal(err)
	}
	packet := func(proto, client, vip string, port int, flags string) {
		p := bed.Packet{Proto: proto, Flags: flags, Src: netip.MustParseAddr(client), Sport: 5000, Dst: netip.MustParseAddr(vip), Dport: uint16(port)}
		if v, _, err := r.run(frameOf(t, p, nil), false); err != nil || v != send {
			t.Fatalf("%+v was %s (%v)", p, v, err)
		}
	}
	for i := range 8 {
		client := fmt.Sprintf("192.0.2.%d", 16*i+1)
		packet("tcp", client, "198.51.100.129", 80, "S")
		if i < 6 {
			packet("tcp", client, "198.51.100.129", 80, "A")
		}
	}
	for i := range 3 {
		packet("udp", fmt.Sprintf("192.0.2.%d", 16*i+1), "198.51.100.129", 53, "")
	}
	for i := range 2 {
		packet("tcp", fmt.Sprintf("2001:db8:1::%d", i+1), "2001:db8:2::81", 80, "S")
	}
	packet("tcp", "192.0.2.1", "198.51.100.200", 443, "S")
}

func service(p ipvs.Protocol, at string) ipvs.ServiceKey {
	return ipvs.ServiceAt(p, netip.MustParseAddrPort(at))
}

func TestThoseConnectionsEndThatAgreeWithAllThatIsNamed(t *testing.T) {
	const total = 14
	server := func(a string, port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), port) }
	for _, c := range []struct {
		name   string
		filter ipvs.ConnFilter
		want   int
		err    error
	}{
		{name: "all", want: total},
		{name: "a service", filter: ipvs.ConnFilter{Service: service(ipvs.TCP, "198.51.100.129:80")}, want: 8},
		{name: "a service of UDP", filter: ipvs.ConnFilter{Service: service(ipvs.UDP, "198.51.100.129:53")}, want: 3},
		{name: "a service of IPv6", filter: ipvs.ConnFilter{Service: service(ipvs.TCP, "[2001:db8:2::81]:80")}, want: 2},
		{name: "a mark", filter: ipvs.ConnFilter{Service: ipvs.ServiceMark(7, ipvs.IPv4)}, want: 1},
		{name: "a server", filter: ipvs.ConnFilter{Destination: server("203.0.113.1", 0)}, want: 7},
		{name: "a port of a server", filter: ipvs.ConnFilter{Destination: server("203.0.113.1", 80)}, want: 4},
		{name: "a server of another port", filter: ipvs.ConnFilter{Destination: server("203.0.113.2", 8080)}, want: 4},
		{name: "clients", filter: ipvs.ConnFilter{Client: netip.MustParsePrefix("192.0.2.0/27")}, want: 5},
		{name: "clients of IPv6", filter: ipvs.ConnFilter{Client: netip.MustParsePrefix("2001:db8:1::1/128")}, want: 1},
		{name: "a state", filter: ipvs.ConnFilter{States: []string{"ESTABLISHED"}}, want: 6},
		{name: "states", filter: ipvs.ConnFilter{States: []string{"SYN_RECV", "UDP"}}, want: 8},
		{name: "all of it", filter: ipvs.ConnFilter{
			Service: service(ipvs.TCP, "198.51.100.129:80"), Destination: server("203.0.113.1", 80),
			Client: netip.MustParsePrefix("192.0.2.0/26"), States: []string{"ESTABLISHED"},
		}, want: 2},
		{name: "nobody", filter: ipvs.ConnFilter{Client: netip.MustParsePrefix("192.0.2.250/32")}},
		{name: "a service that is not there", filter: ipvs.ConnFilter{Service: service(ipvs.TCP, "198.51.100.129:81")}, err: ipvs.ErrNoService},
		{name: "a server that is not there", filter: ipvs.ConnFilter{Destination: server("203.0.113.1", 81)}, err: ipvs.ErrNoDestination},
		{name: "a state that is none", filter: ipvs.ConnFilter{States: []string{"OPEN"}}, err: ipvs.ErrInvalid},
		{name: "bits behind a prefix", filter: ipvs.ConnFilter{Client: netip.MustParsePrefix("192.0.2.1/24")}, err: ipvs.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRunner(t, doors[0], beds.Lend(t, ipvs.AttachTC))
			populate(t, r)
			table := r.bed.Table()
			var met []ipvs.Conn
			for conn, err := range table.ConnsOf(c.filter) {
				if err != nil {
					if !errors.Is(err, ipvs.ErrInvalid) || c.err == nil {
						t.Error(err)
					}
					break
				}
				met = append(met, conn)
			}
			done, err := table.FlushConns(c.filter, ipvs.FlushOptions{})
			if !errors.Is(err, c.err) || done != (ipvs.Flushed{Connections: c.want}) || len(met) != c.want {
				t.Errorf("%d were listed, and %+v (%v), want %d (%v)", len(met), done, err, c.want, c.err)
			}
			for conn, err := range table.Conns() {
				if err != nil || slices.ContainsFunc(met, func(m ipvs.Conn) bool { return m.Client == conn.Client && m.Virtual == conn.Virtual }) {
					t.Errorf("%+v is there still (%v)", conn, err)
				}
			}
			settle(t, table, total-c.want)
		})
	}
}

// The connections of a service that was deleted can still be named by it.
func TestConnectionsOfWhatWasDeletedEndByItsName(t *testing.T) {
	r := newRunner(t, doors[0], beds.Lend(t, ipvs.AttachTC))
	populate(t, r)
	command(t, r.bed, "-D -t 198.51.100.129:80")
	table := r.bed.Table()
	filter := ipvs.ConnFilter{Service: service(ipvs.TCP, "198.51.100.129:80"), Destination: netip.MustParseAddrPort("203.0.113.2:8080")}
	if done, err := table.FlushConns(filter, ipvs.FlushOptions{}); err != nil || done.Connections != 4 {
		t.Errorf("%+v (%v)", done, err)
	}
	if _, err := table.FlushConns(filter, ipvs.FlushOptions{}); !errors.Is(err, ipvs.ErrNoService) {
		t.Errorf("a second time: %v", err)
	}
}

func TestTemplatesEndWithTheirConnectionsIfThatIsWished(t *testing.T) {
	for _, templates := range []bool{false, true} {
		for _, how := range []ipvs.ConnReset{ipvs.ResetNobody, ipvs.ResetClient} {
			t.Run(fmt.Sprintf("templates %v, reset %d", templates, how), func(t *testing.T) {
				b := beds.Lend(t, ipvs.AttachTC)
				commands(t, b, "-A -t 198.51.100.129:80 -s rr -p 300\n-a -t 198.51.100.129:80 -r 203.0.113.1:80 -m\n-a -t 198.51.100.129:80 -r 203.0.113.2:80 -m")
				from := func(port int, flags string) string {
					return serverOf(t, b, bed.Packet{Proto: "tcp", Flags: flags, Src: netip.MustParseAddr("192.0.2.1"), Sport: uint16(port), Dst: vip, Dport: 80})
				}
				first := from(5000, "S")
				from(5000, "A")
				from(5001, "S")
				want := ipvs.Flushed{Connections: 2}
				if templates {
					want.Templates = 1
				}
				if how != ipvs.ResetNobody {
					want.Reset, want.Unanswered = 1, 1
				}
				done, err := b.Table().FlushConns(ipvs.ConnFilter{}, ipvs.FlushOptions{Templates: templates, Reset: how})
				if err != nil || done != want {
					t.Fatalf("%+v (%v), want %+v", done, err, want)
				}
				if again := from(5002, "S"); (again == first) == templates {
					t.Errorf("the client was given %s, and then %s", first, again)
				}
				for range 14 { // connections, their template, and the minutes that one stays
					if err := b.Advance(time.Minute); err != nil {
						t.Fatal(err)
					}
				}
				settle(t, b.Table(), 0)
				services, err := b.Table().Services()
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range services[0].Destinations {
					if d.Persistent != 0 {
						t.Errorf("%s: %d persistent", d.Addr, d.Persistent)
					}
				}
			})
		}
	}
}

// The client's end of the cable answers as a host does (RFC 9293, section 3.10.7.4).
func TestAClientIsAskedUntilItSaysSomethingAndThenTold(t *testing.T) {
	for _, answers := range []int{1, 2, 4} { // the question that is answered; there are three
		for family := range 2 {
			t.Run(fmt.Sprintf("question %d, %s", answers, ends[family].name), func(t *testing.T) {
				r := resetting(t, doors[0], family, "-g", datapath.EndSilently)
				type said struct {
					asked []segment
					told  segment
				}
				heard := make(chan said)
				go func() {
					var s said
					defer func() { heard <- s }()
					for len(s.asked) < 3 {
						frame, err := r.bed.Client.Receive(patience)
						if err != nil || frame == nil {
							return
						}
						s.asked = append(s.asked, segmentOf(t, frame[14:]))
						if len(s.asked) != answers {
							continue
						}
						if err := r.bed.Client.Send(r.fromClient(flagACK, 77, 88, 0).frame(t, 12)); err != nil {
							return
						}
						if frame, err := r.bed.Client.Receive(patience); err == nil && frame != nil {
							s.told = segmentOf(t, frame[14:])
						}
						return
					}
				}()
				done, err := r.bed.Table().FlushConns(ipvs.ConnFilter{}, ipvs.FlushOptions{Reset: ipvs.ResetClient})
				s := <-heard
				want := ipvs.Flushed{Connections: 1, Reset: 1, Unanswered: answers / 4}
				if err != nil || done != want || len(s.asked) != min(answers, 3) {
					t.Errorf("%+v (%v), want %+v; asked %d times", done, err, want, len(s.asked))
				}
				for _, a := range s.asked {
					if a.src != r.vip || a.dst != r.client || a.flags != flagACK || a.payload != 0 {
						t.Errorf("asked by %+v", a)
					}
				}
				if answers < 4 && s.told != (segment{src: r.vip, dst: r.client, flags: flagRST, seq: 88}) {
					t.Errorf("told by %+v", s.told)
				}
			})
		}
	}
}

// Katran's users saw idle connections pushed out of the table and sent elsewhere.
func TestAConnectionThatIsLongIdleStaysWithItsServer(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			commands(t, b, "-A -t 198.51.100.129:80 -s lc\n-a -t 198.51.100.129:80 -r 203.0.113.1:80 -g\n")
			r := newRunner(t, d, b)
			idle := bed.Packet{Proto: "tcp", Flags: "S", Src: netip.MustParseAddr("192.0.2.1"), Sport: 5000, Dst: vip, Dport: 80}
			chosen(t, r, idle)
			idle.Flags = "A"
			if got := chosen(t, r, idle); got != "203.0.113.1" {
				t.Fatalf("the connection is with %s", got)
			}
			commands(t, b, "-a -t 198.51.100.129:80 -r 203.0.113.2:80 -g\n-e -t 198.51.100.129:80 -r 203.0.113.1:80 -g -w 0")
			status, err := b.Table().Status()
			if err != nil {
				t.Fatal(err)
			}
			spoofed := bed.Packet{Proto: "tcp", Flags: "S", Dst: vip, Dport: 80}
			for minute := range 14 {
				for i := range 2 * status.Capacity { // a flood that the table has no room for
					spoofed.Src = netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i>>8&63)})
					spoofed.Sport = uint16(1 + minute*1000 + i)
					if _, _, err := r.run(frameOf(t, spoofed, nil), false); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.Advance(time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			if n := counters(t, b); n["table_full"]+n["half_open_evicted"] == 0 {
				t.Errorf("the flood found room for all: %v", n)
			}
			if other := chosen(t, r, bed.Packet{Proto: "tcp", Flags: "S", Src: idle.Src, Sport: 5001, Dst: vip, Dport: 80}); other != "203.0.113.2" {
				t.Errorf("a new connection was given to %q, want the other server", other)
			}
			if got := chosen(t, r, idle); got != "203.0.113.1" {
				t.Errorf("the idle connection was sent to %q", got)
			}
			// Its time over, it is nobody's, and not another server's.
			if err := b.Advance(16 * time.Minute); err != nil {
				t.Fatal(err)
			}
			if got := chosen(t, r, idle); got != "" {
				t.Errorf("a connection that is over was sent to %q", got)
			}
		})
	}
}

func TestCountsNeverLeakWhileConnectionsAreEnded(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, d)
			const flows = 400
			done := make(chan error)
			go func() {
				done <- c.run(func(thread int, r *runner) error {
					random := rand.New(rand.NewPCG(uint64(thread), 9))
					for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
						if err := r.any(random, flows); err != nil {
							return err
						}
					}
					return nil
				})
			}()
			ended := map[datapath.Ending]int{}
			for round := 0; ; round++ {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					settle(t, c.bed.Table(), -1)
					endings(t, datapath.EndSilently, func(datapath.ConnRecord) bool { return true })
					settle(t, c.bed.Table(), 0)
					for how := range datapath.Ending(3) {
						if ended[how] < 100 {
							t.Errorf("the test was too tame: %v", ended)
						}
					}
					return
				case <-time.After(time.Millisecond):
				}
				how := datapath.Ending(round % 3)
				ended[how] += endings(t, how, func(r datapath.ConnRecord) bool { return int(r.Cport>>8)%3 == round/3%3 })
			}
		})
	}
}

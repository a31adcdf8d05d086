package packet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/test/bed"
)

// Connections made at each door by the test of drift, unless EVS_DRIFT says how many in
// all. The table is the smallest, so that it is flooded and fills.
const (
	drifting  = 40_000
	driftEdit = 1_600 // so many, and there is a round of edits
)

// A life is how a connection goes: packets of the client (>) and of the server it was
// given (<), with their flags or chunks.
var lives = []struct{ proto, packets string }{
	{"tcp", ">S <SA >A >FA <FA >A"},        // closed by the client
	{"tcp", ">S <SA >A <FA >A >FA <A"},     // by the server
	{"tcp", ">S <SA >A >R"},                // reset
	{"tcp", ">S <RA"},                      // refused
	{"tcp", ">S <SA >A"},                   // left to time out
	{"tcp", ">S"},                          // half-open
	{"tcp", ">S <SA >A >FA <FA >A >S <SA"}, // opened anew
	{"tcp", ">S >FA >S >A >S"},             // half-open, closed, and half-open again
	{"udp", "> < >"},
	{"sctp", ">INIT <INIT_ACK >COOKIE_ECHO <COOKIE_ACK >DATA >SHUTDOWN <SHUTDOWN_ACK >SHUTDOWN_COMPLETE"},
	{"sctp", ">INIT <INIT_ACK >COOKIE_ECHO <COOKIE_ACK >ABORT"},
	{"sctp", ">INIT"},
}

// driftServices are those of each protocol at each VIP, and what edits of them come.
var driftServices = []struct{ port, scheduler, method string }{
	{"80", "wlc", "-m"}, {"81", "rr", "-g"}, {"84", "lc -p 30", "-m"},
}

// driftSides are the VIP, the servers and the clients of both families, the clients'
// network last.
var driftSides = []struct{ vip, server, client string }{
	{"198.51.100.129", "203.0.113.%d", "192.0.2.0"},
	{"[2001:db8:2::81]", "[2001:db8:3::%d]", "2001:db8:1::"},
}

// driftEach runs command lines for each service of a side and a protocol.
func driftEach(t *testing.T, b *bed.Bed, round int, lines func(service, port, scheduler, method, server string) string) {
	side, protocol := driftSides[round%len(driftSides)], transports[round/len(driftSides)%len(transports)]
	for _, s := range driftServices {
		commands(t, b, lines(protocol+" "+side.vip+":"+s.port, s.port, s.scheduler, s.method, side.server))
	}
}

// destination is the nth of a service: translated ones have a port of their own.
func destination(server, port, method string, n int) string {
	if method == "-m" {
		port = "8080"
	}
	return "-r " + fmt.Sprintf(server, n) + ":" + port + " " + method
}

func TestCountsNeverDrift(t *testing.T) {
	total := number(t, "EVS_DRIFT", len(doors)*drifting) / len(doors)
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := &crowd{T: t, bed: beds.Lend(t, d.mode), door: d}
			for round := range len(driftSides) * len(transports) {
				driftEach(t, c.bed, round, func(service, port, scheduler, method, server string) string {
					lines := "-A " + service + " -s " + scheduler
					for n := 1; n <= 3; n++ {
						lines += "\n-a " + service + " " + destination(server, port, method, n)
					}
					return lines
				})
			}
			command(t, c.bed, "--set 60 20 30")
			start, done := time.Now(), make(chan error)
			guns := target4.spoofs(t).frame
			var rounds atomic.Int64
			defer rounds.Store(1 << 32) // let the others go on without an editor that gave up
			go func() {
				done <- c.run(func(thread int, r *runner) error {
					return r.drift(thread, total/threads, spoofs{target4, slices.Clone(guns)}, &rounds)
				})
			}()
			if err := driftEdits(t, c.bed, done, &rounds); err != nil {
				t.Fatal(err)
			}
			balanced(t, c.bed)
			got := counters(t, c.bed)
			t.Logf("%d connections in %v, %d rounds of edits: %v", got["new_connection"], time.Since(start).Round(time.Millisecond), rounds.Load(), got)
			for _, name := range []string{"new_template", "reopened", "expired", "half_open_evicted"} {
				if got[name] == 0 {
					t.Errorf("the test was too tame: nothing was counted as %s", name)
				}
			}
			if got["new_connection"] < uint64(total*9/10) {
				t.Errorf("%d connections, want %d", got["new_connection"], total)
			}
			emptied(t, c.bed, time.Hour)
			rests(t)
		})
	}
}

// drift makes connections, each of a client of its own, and now and then the SYNs of a
// flood. It waits for the rounds of edits.
func (r *runner) drift(thread, quota int, guns spoofs, rounds *atomic.Int64) error {
	const burst = 64
	random := rand.New(rand.NewPCG(uint64(thread), 5))
	for made := 0; made < quota; made++ {
		for rounds.Load() < int64(made*threads/driftEdit) {
			time.Sleep(time.Millisecond)
		}
		n := made*threads + thread
		if random.IntN(burst) == 0 {
			for end := made + burst; made < end; made++ {
				if _, _, err := r.run(guns.nth(made*threads+thread), false); err != nil {
					return err
				}
			}
		}
		if n > 1000 && random.IntN(8) == 0 {
			n -= threads * random.IntN(100) // one that was there before
		}
		if err := r.live(n, random); err != nil {
			return err
		}
	}
	return nil
}

// live runs the packets of the life of the nth client's connection. Edits may come
// between, and the flood, so nothing is said of what becomes of them.
func (r *runner) live(n int, random *rand.Rand) error {
	life, side := lives[random.IntN(len(lives))], driftSides[n%len(driftSides)]
	ports := []uint16{80, 81, 84}
	x := target{network: netip.MustParseAddr(side.client)}
	p := bed.Packet{Proto: life.proto, Dst: netip.MustParseAddr(strings.Trim(side.vip, "[]")), Dport: ports[n/2%len(ports)]}
	p.Src, p.Sport = x.client(n)
	var server netip.AddrPort
	for _, packet := range strings.Fields(life.packets) {
		q := p
		if packet[0] == '<' {
			if !server.IsValid() {
				continue
			}
			q = bed.Packet{From: "server", Proto: p.Proto, Src: server.Addr(), Sport: server.Port(), Dst: p.Src, Dport: p.Sport}
		}
		q.Flags = packet[1:]
		frame, err := q.Frame()
		if err != nil {
			return err
		}
		v, out, err := r.run(frame, q.FromServer())
		if err != nil {
			return err
		}
		if v == send && packet[0] == '>' {
			seen, err := bed.Parse(out)
			if err != nil {
				return err
			}
			server = seen.Dst
		}
	}
	return nil
}

// driftEdits edits the services, those of a side and a protocol in each round, until there
// are no packets any more, and lets time pass.
func driftEdits(t *testing.T, b *bed.Bed, done <-chan error, rounds *atomic.Int64) error {
	schedulers := []string{"rr", "wlc", "lc", "sh", "wrr", "sed"}
	for round := 0; ; round++ {
		for _, setting := range []string{
			fmt.Sprintf("conn_reuse_mode=%d", round%2), fmt.Sprintf("expire_nodest_conn=%d", round/2%2),
			fmt.Sprintf("expire_quiescent_template=%d", round/4%2), fmt.Sprintf("secure_tcp=%d", round/8%2*3),
		} {
			if err := b.Sysctl("net.ipv4.vs." + setting); err != nil {
				t.Fatal(err)
			}
		}
		driftEach(t, b, round, func(service, port, _, method, server string) string {
			edit := "-E " + service + " -s " + schedulers[round%len(schedulers)]
			if port == "84" {
				edit += fmt.Sprintf(" -p %d", 30+round%3)
			}
			gone, weighed := strings.Fields(destination(server, port, method, 3)), destination(server, port, method, 2)
			return fmt.Sprintf("%s\n-d %s %s %s\n-e %s %s -w %d", edit, service, gone[0], gone[1], service, weighed, round/6%3)
		})
		if err := b.Advance(time.Duration(round%4) * 7 * time.Second); err != nil {
			t.Fatal(err)
		}
		rounds.Store(int64(round))
		time.Sleep(2 * time.Millisecond) // in which packets meet what was edited
		driftEach(t, b, round, func(service, port, _, method, server string) string {
			return "-a " + service + " " + destination(server, port, method, 3)
		})
		select {
		case err := <-done:
			return err
		default:
		}
	}
}

// balanced compares the counts of every destination with the listing.
func balanced(t *testing.T, b *bed.Bed) {
	t.Helper()
	var wrong []string
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if wrong = misfits(t, b); len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("counts have drifted:\n%s", strings.Join(wrong, "\n"))
		}
	}
}

// misfits are the destinations whose counts are not what the listing has: connections
// active, inactive, and templates.
func misfits(t *testing.T, b *bed.Bed) (wrong []string) {
	t.Helper()
	listed, open := map[string][3]uint32{}, 0
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Template && c.Virtual.Port() == 0xffff { // it leads nowhere any more, and is listed so
			c.Virtual = netip.AddrPortFrom(c.Virtual.Addr(), 84)
			c.Destination = netip.AddrPortFrom(c.Destination.Addr(), 8080)
		}
		key := fmt.Sprint(c.Protocol, c.Virtual, c.Destination)
		count, kind := listed[key], 1
		switch {
		case c.Template:
			kind = 2
		case strings.Contains(activeStates, " "+c.State+" "):
			kind = 0
		}
		if !c.Template && strings.Contains(halfOpenStates, " "+c.State+" ") {
			open++
		}
		count[kind]++
		listed[key] = count
	}
	services, err := b.Table().Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, d := range s.Destinations {
			key := fmt.Sprint(s.Protocol, s.Addr, d.Addr)
			if counted := [3]uint32{d.Active, d.Inactive, d.Persistent}; counted != listed[key] {
				wrong = append(wrong, fmt.Sprintf("%s: counted %v, listed %v", key, counted, listed[key]))
			}
			delete(listed, key)
		}
	}
	for key, n := range listed {
		wrong = append(wrong, fmt.Sprintf("%s: no destination, listed %v", key, n))
	}
	if counted, _, _ := half(t, b, target4); counted != open {
		wrong = append(wrong, fmt.Sprintf("half-open: counted %d, listed %d", counted, open))
	}
	return wrong
}

// rests wants the timer to go slow, as it does when as many connections have ended as
// were born.
func rests(t *testing.T) {
	t.Helper()
	var e datapath.Editor
	defer e.Close()
	var most time.Duration
	err := e.View(func(table *datapath.Table) error {
		for deadline := time.Now().Add(4 * time.Second); most < 50*time.Millisecond && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			age, err := table.TimerAge()
			if err != nil {
				return err
			}
			most = max(most, age)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if most < 50*time.Millisecond {
		t.Errorf("the timer ran every %v at least, although the table is empty", most)
	}
}

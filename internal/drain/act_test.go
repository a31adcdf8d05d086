package drain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/ipvs"
)

var (
	web    = ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
	shop   = ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:443"))
	first  = netip.MustParseAddrPort("192.0.2.2:80")
	second = netip.MustParseAddrPort("192.0.2.3:80")
)

// table is one that is made up.
type table struct {
	services []ipvs.ServiceInfo
	conns    []ipvs.Conn
	scans    int
	slow     time.Duration // a scan
	fails    error
	flushed  []ipvs.FlushOptions
	edits    []string
	refuses  string // an edit of this
}

func (t *table) Services() ([]ipvs.ServiceInfo, error) { return t.services, t.fails }

func (t *table) Timeouts() (ipvs.Timeouts, error) {
	return ipvs.Timeouts{TCPFin: 2 * time.Minute}, nil
}

func (t *table) ConnsOf(f ipvs.ConnFilter) iter.Seq2[ipvs.Conn, error] {
	t.scans++
	time.Sleep(t.slow)
	return func(yield func(ipvs.Conn, error) bool) {
		for _, c := range t.conns {
			if c.Destination.Addr() == f.Destination.Addr() && !yield(c, nil) {
				return
			}
		}
	}
}

func (t *table) FlushConns(f ipvs.ConnFilter, o ipvs.FlushOptions) (done ipvs.Flushed, err error) {
	if t.fails != nil {
		return done, t.fails
	}
	t.flushed = append(t.flushed, o)
	t.conns = slices.DeleteFunc(t.conns, func(c ipvs.Conn) bool {
		gone := c.Template || len(f.States) == 0
		if gone && !c.Template {
			done.Connections++
			if c.Protocol == ipvs.TCP && c.State == "ESTABLISHED" {
				done.Reset++
			}
		}
		return gone
	})
	for i := range t.services {
		for j := range t.services[i].Destinations {
			d := &t.services[i].Destinations[j]
			d.Persistent = 0
			if len(f.States) == 0 {
				d.Active, d.Inactive = 0, 0
			}
		}
	}
	return done, nil
}

func (t *table) EditDestination(k ipvs.ServiceKey, d ipvs.Destination) error {
	said := fmt.Sprintf("%s of %s=%d", d.Addr, k, d.Weight)
	if said == t.refuses {
		return errors.New("no")
	}
	t.edits = append(t.edits, said)
	return nil
}

// server is a destination with a weight, one that it had before, and connections.
func server(at netip.AddrPort, weight, last int32, active, inactive, persistent uint32) ipvs.DestinationInfo {
	return ipvs.DestinationInfo{Destination: ipvs.Destination{Addr: at, Weight: weight}, LastWeight: last, Active: active, Inactive: inactive, Persistent: persistent}
}

func service(k ipvs.ServiceKey, all ...ipvs.DestinationInfo) ipvs.ServiceInfo {
	return ipvs.ServiceInfo{Service: ipvs.Service{ServiceKey: k}, Destinations: all}
}

func conns(n int, c ipvs.Conn) []ipvs.Conn {
	c.Destination = first
	return slices.Repeat([]ipvs.Conn{c}, n)
}

// ofFirst is the first server, whatever its port and service.
var ofFirst = keep.Scope{Server: keep.Server{AddrPort: netip.AddrPortFrom(first.Addr(), 0)}}

func TestALookCountsWhatIsAlive(t *testing.T) {
	for _, c := range []struct {
		name  string
		table table
		want  Seen
	}{
		{"of the servers that are meant, in all services",
			table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 1, 1, 3), server(second, 1, 1, 9, 9, 9)), service(shop, server(first, 2, 2, 0, 0, 0))},
				conns: conns(2, ipvs.Conn{State: "ESTABLISHED", Expires: time.Minute})},
			Seen{Destinations: 2, Resting: 1, Connections: 2, Templates: 3, Longest: time.Minute}},
		{"without what both ends are through with, checks and templates",
			table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 2, 3, 1))},
				conns: slices.Concat(conns(2, ipvs.Conn{State: "ESTABLISHED", Expires: 5 * time.Second}), conns(1, ipvs.Conn{State: "TIME_WAIT", Expires: time.Minute}),
					conns(1, ipvs.Conn{State: "FIN_WAIT", Probe: true}), conns(1, ipvs.Conn{State: "CLOSE"}), conns(1, ipvs.Conn{Template: true, Expires: time.Hour}))},
			Seen{Destinations: 1, Resting: 1, Connections: 2, Templates: 1, Longest: 5 * time.Second}},
		{"without those whose client has closed and is silent, where the server's end is not seen",
			table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 0, 4, 0))},
				conns: slices.Concat(conns(1, ipvs.Conn{State: "FIN_WAIT", Method: ipvs.Route, Expires: 90 * time.Second}), conns(1, ipvs.Conn{State: "FIN_WAIT", Method: ipvs.Tunnel, Expires: 89 * time.Second}),
					conns(1, ipvs.Conn{State: "FIN_WAIT", Method: ipvs.Route, Expires: 91 * time.Second}), conns(1, ipvs.Conn{State: "FIN_WAIT", Method: ipvs.Masquerade, Expires: time.Second}))},
			Seen{Destinations: 1, Resting: 1, Connections: 2, Longest: 91 * time.Second}},
		{"also of a server that has been removed",
			table{conns: conns(1, ipvs.Conn{State: "UDP", Expires: time.Second})},
			Seen{Connections: 1, Longest: time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Eye
			if got, err := e.Look(&c.table, ofFirst, false, start); err != nil || got != c.want {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestAServerWithoutConnectionsIsKnownByItsCounts(t *testing.T) {
	all := table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 0, 0, 0))}}
	var e Eye
	if got, err := e.Look(&all, ofFirst, false, start); err != nil || got.Connections != 0 || all.scans != 0 {
		t.Errorf("%+v, %v, after %d looks at each connection", got, err, all.scans)
	}
}

func TestLookingAtEachConnectionTakesALittleOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 1, 1, 0))}, slow: 100 * time.Millisecond,
			conns: slices.Concat(conns(1, ipvs.Conn{State: "ESTABLISHED"}), conns(1, ipvs.Conn{State: "TIME_WAIT"}))}
		var e Eye
		const seconds = 60
		for i := range seconds {
			if got, err := e.Look(&all, ofFirst, false, time.Now()); err != nil || got.Connections != 1 {
				t.Fatalf("after %d s: %+v, %v", i, got, err)
			}
			time.Sleep(time.Second)
		}
		if most := seconds*int(time.Second)/int(scanShare*all.slow) + 1; all.scans > most || all.scans < 5 {
			t.Errorf("%d looks in %d s, want %d at most", all.scans, seconds, most)
		}
		all.services[0].Destinations[0].Active = 0 // so that none may be left
		all.conns = all.conns[1:]
		scans := all.scans
		time.Sleep(scanHopeful * all.slow)
		if got, err := e.Look(&all, ofFirst, false, time.Now()); err != nil || got.Connections != 0 || all.scans != scans+1 {
			t.Errorf("when none may be left: %+v, %v, after %d looks", got, err, all.scans-scans)
		}
		if got, err := e.Look(&all, ofFirst, true, time.Now()); err != nil || got.Connections != 0 || all.scans != scans+2 {
			t.Errorf("when it is to be exact: %+v, %v, after %d looks", got, err, all.scans-scans)
		}
	})
}

func TestAnActThatFailsIsTriedAgain(t *testing.T) {
	all := table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 2, 0, 0))},
		conns: slices.Concat(conns(1, ipvs.Conn{Protocol: ipvs.TCP, State: "ESTABLISHED"}), conns(1, ipvs.Conn{Protocol: ipvs.UDP, State: "UDP"}))}
	d := New(ofFirst, config.Drain{AtDeadline: keep.Reset, Persistence: keep.Respect}, start)
	broken := all
	broken.fails = errors.New("busy")
	var e Eye
	next, err := e.Advance(&broken, d, start)
	if err == nil || next != d {
		t.Fatalf("%+v, %v", next, err)
	}
	next, err = e.Advance(&all, d, start)
	if err != nil || next.Phase != keep.Ended || next.Progress.Reset != 1 || next.Progress.Anew != 1 {
		t.Errorf("%+v, %v", next, err)
	}
	if want := []ipvs.FlushOptions{{Templates: true, Reset: ipvs.ResetBoth}}; !slices.Equal(all.flushed, want) {
		t.Errorf("flushed %v", all.flushed)
	}
}

func TestWeightsAreChangedByHandAllOrNone(t *testing.T) {
	all := func() *table {
		return &table{services: []ipvs.ServiceInfo{service(web, server(first, 3, 3, 0, 0, 0), server(second, 1, 1, 0, 0, 0)), service(shop, server(first, 0, 2, 0, 0, 0))}}
	}
	for _, c := range []struct {
		name    string
		change  func(Weights, keep.Scope) ([]Edit, error)
		scope   keep.Scope
		refuses string
		edits   []string
		fails   error
	}{
		{"to rest", Rest, ofFirst, "", []string{"192.0.2.2:80 of TCP 203.0.113.10:80=0"}, nil},
		{"to work", Work, ofFirst, "", []string{"192.0.2.2:80 of TCP 203.0.113.10:443=2"}, nil},
		{"of nobody", Rest, keep.Scope{Server: keep.Server{AddrPort: netip.MustParseAddrPort("192.0.2.9:0")}}, "", nil, ipvs.ErrNoDestination},
		{"in one service", Rest, keep.Scope{Service: keep.Service{ServiceKey: shop}, Server: ofFirst.Server}, "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := all()
			done, err := c.change(table, c.scope)
			if !errors.Is(err, c.fails) || !slices.Equal(table.edits, c.edits) || len(done) != len(c.edits) {
				t.Errorf("%v, %v, %v", table.edits, done, err)
			}
		})
	}
	t.Run("and back if one fails", func(t *testing.T) {
		table := all()
		table.services[1].Destinations[0].Weight = 5
		table.refuses = "192.0.2.2:80 of TCP 203.0.113.10:443=0"
		done, err := Rest(table, ofFirst)
		want := []string{"192.0.2.2:80 of TCP 203.0.113.10:80=0", "192.0.2.2:80 of TCP 203.0.113.10:80=3"}
		if err == nil || done != nil || !slices.Equal(table.edits, want) {
			t.Errorf("%v, %v, %v", table.edits, done, err)
		}
	})
	t.Run("but not of one that never had another", func(t *testing.T) {
		table := &table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 0, 0, 0, 0)), service(shop, server(first, 0, 4, 0, 0, 0))}}
		if _, err := Work(table, ofFirst); !errors.Is(err, ErrNever) || table.edits != nil {
			t.Errorf("%v, %v", table.edits, err)
		}
	})
}

// shared is a table that a test looks at while a drain goes on.
type shared struct {
	mu sync.Mutex
	table
}

func (s *shared) Services() ([]ipvs.ServiceInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Services()
}

func (s *shared) FlushConns(f ipvs.ConnFilter, o ipvs.FlushOptions) (ipvs.Flushed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.FlushConns(f, o)
}

// fail has it fail from now on, or not any more.
func (s *shared) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

func (s *shared) acts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flushed)
}

// heard is what was reported last.
type heard struct {
	mu   sync.Mutex
	last error
}

func (h *heard) hear(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = err
}

func (h *heard) said() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func TestTheDrainsOfAStoreAreCarriedOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	synctest.Test(t, func(t *testing.T) {
		s, err := keep.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		all := &shared{table: table{services: []ipvs.ServiceInfo{service(web, server(first, 0, 1, 1, 0, 1))}, fails: errors.New("busy"),
			conns: conns(1, ipvs.Conn{Protocol: ipvs.TCP, State: "ESTABLISHED"})}}
		var report heard
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			Watch(ctx, s, all, report.hear)
			close(done)
		}()
		weight := int32(1)
		if _, err := s.AddOverride(keep.Override{Scope: ofFirst, Weight: &weight, Until: time.Now().Add(4500 * time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		d, err := s.AddDrain(New(ofFirst, config.Drain{For: 3 * time.Second, AtDeadline: keep.Reset, Persistence: keep.Ignore}, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		phase := func(after time.Duration, want keep.Phase, flushed int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := s.Drains()[0].Phase; got != want || all.acts() != flushed {
				t.Errorf("%s, and %d acts; want %s and %d", got, all.acts(), want, flushed)
			}
		}
		phase(1500*time.Millisecond, keep.Draining, 0)
		if report.said() == nil {
			t.Error("what failed is not told")
		}
		all.fail(nil)
		phase(time.Second, keep.Draining, 1)
		if err := report.said(); err != nil {
			t.Errorf("what does not fail any more is told: %v", err)
		}
		phase(time.Second, keep.Ended, 2)
		if got := len(s.Overrides(time.Time{})); got != 1 {
			t.Errorf("%d overrides before the time", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(s.Overrides(time.Time{})); got != 0 {
			t.Errorf("%d overrides after it", got)
		}
		if err := s.DeleteDrain(d.ID); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})
}

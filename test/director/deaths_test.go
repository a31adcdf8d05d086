package director

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// crowd is clients that open one connection after the other until they are stopped. A
// request that fails counts, with the time at which it was begun.
type crowd struct {
	stop     context.CancelFunc
	all      sync.WaitGroup
	answered atomic.Int64
	mu       sync.Mutex
	failures map[time.Time]error
}

func newCrowd(l *lab.Lab, to netip.AddrPort, size int) *crowd {
	ctx, stop := context.WithCancel(context.Background())
	c := &crowd{stop: stop, failures: map[time.Time]error{}}
	for range size {
		c.all.Go(func() {
			client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: l.Dial(lab.ClientNode(1)), DisableKeepAlives: true}}
			for ctx.Err() == nil {
				began := time.Now()
				answer, err := client.Get("http://" + to.String() + "/")
				if err != nil {
					c.mu.Lock()
					c.failures[began] = err
					c.mu.Unlock()
				} else {
					answer.Body.Close()
					c.answered.Add(1)
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return c
}

func (c *crowd) end() { c.stop(); c.all.Wait() }

// failed are the failures begun after a time.
func (c *crowd) failed(after time.Time) (all []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, err := range c.failures {
		if at.After(after) {
			all = append(all, err)
		}
	}
	return all
}

// closable is a web server in a node of which only the listener goes away.
func closable(t *testing.T, l *lab.Lab, node string, at netip.AddrPort) net.Listener {
	t.Helper()
	var listener net.Listener
	err := l.Do(node, func() (err error) {
		listener, err = net.Listen("tcp", at.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, node) })}
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { srv.Close() })
	return listener
}

const deathsFile = `services:
- name: web
  tcp: 203.0.113.10:80
  scheduler: wrr
  method: masq
  inhibitOnFailure: true
  slowStart: 6s
  check: {kind: http, interval: 1s, fall: 2, rise: 1, timeout: 400ms}
  destinations:
  - server: 192.0.2.2:80
  - server: 192.0.2.3:80
  - server: 192.0.2.4:80
  - server: 192.0.2.5:8088
  - server: 192.0.2.6:80
`

func TestNobodyIsSentToAServerThatDiedTwoAndAHalfSecondsAgo(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "t-deaths", Servers: 5})
	odd := netip.AddrPortFrom(lab.ServerAddr(4, ipvs.IPv4), 8088)
	listener := closable(t, l, lab.ServerNode(4), odd)
	d := newDaemon(t, l)
	d.write(deathsFile)
	d.start()
	clients := newCrowd(l, vip(80), 12)
	defer clients.end()
	eventually(t, 5*time.Second, func() error {
		if clients.answered.Load() < 100 {
			return errors.New("clients are not served")
		}
		return nil
	})
	frozen := l.ServerPID(lab.ServerNode(3))
	died := time.Now()
	if err := errors.Join(syscall.Kill(l.ServerPID(lab.ServerNode(2)), syscall.SIGKILL), syscall.Kill(frozen, syscall.SIGSTOP), listener.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(frozen, syscall.SIGCONT) })
	cluster.On(t, l, lab.ServerNode(5), "ip link set eth0 down")
	time.Sleep(time.Until(died.Add(2500 * time.Millisecond)))
	dead := map[string]netip.AddrPort{"killed": server(2), "frozen": server(3), "its port closed": odd, "its network cut": server(5)}
	given := map[string]uint64{}
	for how, at := range dead {
		is, ok := destination(t, l, at)
		if !ok || is.Weight != 0 {
			t.Errorf("%s: it has weight %d (%v)", how, is.Weight, ok)
		}
		given[how] = is.Stats.Connections
	}
	time.Sleep(time.Second)
	for how, at := range dead {
		if is, _ := destination(t, l, at); is.Stats.Connections != given[how] {
			t.Errorf("%s: it was given %d connections more", how, is.Stats.Connections-given[how])
		}
	}
	if failed := clients.failed(died.Add(2500 * time.Millisecond)); len(failed) > 0 {
		t.Errorf("of the requests after 2.5 s %d failed: %v", len(failed), failed[0])
	}
	if n := len(clients.failed(died)); n == 0 {
		t.Error("no request failed at all: nobody had died")
	}
	returns(t, l, frozen)
}

// returns has the frozen server come back, and looks at its part of the connections when
// it begins to start slowly, and when it is through.
func returns(t *testing.T, l *lab.Lab, frozen int) {
	t.Helper()
	if err := syscall.Kill(frozen, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	weighs := func(least int32) func() error {
		return func() error {
			if is, _ := destination(t, l, server(3)); is.Weight < least {
				return fmt.Errorf("a server that is back has weight %d, want %d", is.Weight, least)
			}
			return nil
		}
	}
	eventually(t, 10*time.Second, weighs(1))
	begins := share(t, l, 1500*time.Millisecond)
	eventually(t, 20*time.Second, weighs(100))
	ends := share(t, l, 1500*time.Millisecond)
	t.Logf("of two servers, the one that is back got %.0f%% of the connections in the first 1.5 s, and %.0f%% in the end", 100*begins, 100*ends)
	if begins > 0.25 || ends < 0.4 || ends > 0.6 {
		t.Error("it does not start slowly")
	}
}

// share is the part that server 3 gets of the connections of servers 1 and 3 in a time.
func share(t *testing.T, l *lab.Lab, within time.Duration) float64 {
	t.Helper()
	back, other := served(t, l)
	time.Sleep(within)
	back2, other2 := served(t, l)
	return float64(back2-back) / float64(back2-back+other2-other)
}

// served are the connections that servers 3 and 1 have been given.
func served(t *testing.T, l *lab.Lab) (uint64, uint64) {
	back, _ := destination(t, l, server(3))
	other, _ := destination(t, l, server(1))
	return back.Stats.Connections, other.Stats.Connections
}

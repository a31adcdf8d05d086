package director

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

// A stream is clients that come at a rate, whatever becomes of those before them.
type stream struct {
	stop     context.CancelFunc
	all      sync.WaitGroup
	answered atomic.Int64
	mu       sync.Mutex
	took     []taken
}

// taken is when a request was through, and how long it took.
type taken struct {
	at   time.Time
	long time.Duration
}

// latest is how long the requests took that were through within so much time.
func (s *stream) latest(within time.Duration) (all []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, is := range s.took {
		if time.Since(is.at) < within {
			all = append(all, is.long)
		}
	}
	return all
}

func newStream(l *lab.Lab, to netip.AddrPort, every time.Duration) *stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{stop: stop}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: l.Dial(lab.ClientNode(1)), DisableKeepAlives: true}}
	s.all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			s.all.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+to.String()+"/", nil)
				if err != nil {
					return
				}
				began := time.Now()
				if answer, err := client.Do(req); err == nil {
					answer.Body.Close()
					s.answered.Add(1)
				}
				s.mu.Lock()
				s.took = append(s.took, taken{time.Now(), time.Since(began)})
				s.mu.Unlock()
			})
		}
	})
	return s
}

func (s *stream) end() { s.stop(); s.all.Wait() }

const passiveFile = `services:
- name: web
  tcp: 203.0.113.10:80
  scheduler: rr
  method: %s
  outlier: {mostOut: 80%%}
  destinations:
  - server: 192.0.2.2:80
  - server: 192.0.2.3:80
  - server: 192.0.2.4:80
  - server: 192.0.2.5:80
  - server: 192.0.2.6:80
`

func TestWithoutChecksNobodyIsSentToAServerThatDiedASecondAgo(t *testing.T) {
	for method, word := range map[lab.Method]string{lab.NAT: "masq", lab.DR: "route"} {
		t.Run(word, func(t *testing.T) {
			l := cluster.Up(t, lab.Spec{Name: "t-passive-" + word, Servers: 5, Method: method})
			d := newDaemon(t, l)
			d.write(fmt.Sprintf(passiveFile, word))
			d.start()
			clients := newStream(l, vip(80), 2*time.Millisecond)
			defer clients.end()
			eventually(t, 10*time.Second, func() error {
				if clients.answered.Load() < 500 {
					return errors.New("clients are not served")
				}
				return nil
			})
			frozen := l.ServerPID(lab.ServerNode(3))
			died := time.Now()
			if err := errors.Join(syscall.Kill(l.ServerPID(lab.ServerNode(2)), syscall.SIGKILL), syscall.Kill(frozen, syscall.SIGSTOP)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(frozen, syscall.SIGCONT) })
			cluster.On(t, l, lab.ServerNode(5), "ip link set eth0 down")
			dead := map[string]netip.AddrPort{"killed": server(2), "frozen": server(3), "its network cut": server(5)}
			time.Sleep(time.Until(died.Add(time.Second)))
			for _, line := range d.said() {
				if strings.Contains(line, "left out for 10s") {
					t.Logf("they died at %s: %s", died.Format("05.000"), line)
				}
			}
			given := map[string]uint64{}
			for how, at := range dead {
				is, ok := destination(t, l, at)
				if !ok || is.Weight != 0 {
					t.Errorf("%s: after a second it has weight %d (%v)", how, is.Weight, ok)
				}
				given[how] = is.Stats.Connections
			}
			before := clients.answered.Load()
			time.Sleep(time.Second)
			for how, at := range dead {
				if is, _ := destination(t, l, at); is.Stats.Connections != given[how] {
					t.Errorf("%s: it was given %d connections more", how, is.Stats.Connections-given[how])
				}
			}
			if n := clients.answered.Load() - before; n < 300 {
				t.Errorf("in the second after, %d clients were served by those that are well, want nearly 500", n)
			}
			for _, n := range []int{1, 4} {
				if is, _ := destination(t, l, server(n)); is.Weight != 1 {
					t.Errorf("server %d, which is well, has weight %d", n, is.Weight)
				}
			}
		})
	}
}

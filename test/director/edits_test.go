package director

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// edited is a random file of a director. Servers 1 and 2 of the echo service are always
// in it, server 3 if more says so; all else changes.
func edited(dice *rand.Rand, more bool, schedulers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "settings: {conn_reuse_mode: \"%d\"}\ntimeouts: {udp: %ds}\nservices:\n", dice.IntN(2), 100+dice.IntN(100))
	fmt.Fprintf(&b, "- name: echo\n  tcp: 203.0.113.10:7\n  scheduler: %s\n  method: masq\n", schedulers[dice.IntN(len(schedulers))])
	fmt.Fprintf(&b, "  check: {kind: tcp, interval: %dms}\n  destinations:\n", 200+dice.IntN(300))
	servers := []int{1, 2}
	if more {
		servers = append(servers, 3)
	}
	for _, i := range dice.Perm(len(servers)) {
		fmt.Fprintf(&b, "  - {server: %s, weight: %d, upperThreshold: %d}\n", lab.ServerAddr(servers[i], ipvs.IPv4), 1+dice.IntN(5), []int{0, 100000}[dice.IntN(2)])
	}
	for port := range dice.IntN(5) {
		fmt.Fprintf(&b, "- {udp: 203.0.113.10:%d, method: masq, destinations: [{server: 192.0.2.%d:7}]}\n", 1000+port, 2+dice.IntN(3))
	}
	return b.String()
}

// lives are connections that ask all the time for what they are sent.
type lives struct {
	all    sync.WaitGroup
	stop   chan struct{}
	mu     sync.Mutex
	broken map[string]error // by the client's address
}

// open opens connections, each of which lives on.
func (c *lives) open(t *testing.T, l *lab.Lab, n int) {
	t.Helper()
	for range n {
		conn, err := l.Dial(lab.ClientNode(1))(t.Context(), "tcp", vip(lab.EchoPort).String())
		if err == nil {
			err = echo(conn)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.all.Go(func() { c.live(conn) })
	}
}

func (c *lives) live(conn net.Conn) {
	defer conn.Close()
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		if err := echo(conn); err != nil {
			c.mu.Lock()
			c.broken[conn.LocalAddr().String()] = err
			c.mu.Unlock()
			return
		}
	}
}

// echo asks a connection for what it is sent.
func echo(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 16))
	return err
}

// ends waits for all, and returns those that were broken.
func (c *lives) ends() map[string]error {
	close(c.stop)
	c.all.Wait()
	return c.broken
}

// keepers are the clients of servers 1 and 2.
func keepers(t *testing.T, l *lab.Lab) map[string]bool {
	t.Helper()
	stay := map[string]bool{}
	err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer table.Close()
		for c, err := range table.Conns() {
			if err != nil {
				return err
			}
			if c.Destination.Addr() != lab.ServerAddr(3, ipvs.IPv4) {
				stay[c.Client.String()] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return stay
}

// reloads is how many reloads the test makes.
func reloads(t *testing.T) int {
	t.Helper()
	n := 60
	if text := os.Getenv("EVS_RELOADS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("EVS_RELOADS=%q: want a number of reloads", text)
		}
	}
	return n
}

// reloaded waits until the director acts on the file it has now.
func reloaded(t *testing.T, d *daemon, from int) {
	t.Helper()
	d.signal(syscall.SIGHUP)
	d.await(from, "acts on the file")
}

func TestReloadsAndSIGKILLBreakNoConnectionButThoseOfRemovedServersAndTheNextStartHeals(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	l := cluster.Up(t, lab.Spec{Name: "t-reloads", Servers: 3})
	d := newDaemon(t, l)
	d.write(edited(dice, true, "rr")) // to all of them
	d.start()
	c := &lives{stop: make(chan struct{}), broken: map[string]error{}}
	c.open(t, l, 500)
	stay := keepers(t, l)
	if len(stay) < 100 || len(stay) > 490 {
		t.Errorf("of 500 connections %d are with servers 1 and 2", len(stay))
	}
	n, kills := reloads(t), 0
	for i := range n {
		d.write(edited(dice, dice.IntN(3) > 0, "rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh"))
		from := len(d.said())
		if i%10 != 9 {
			reloaded(t, d, from)
			continue
		}
		d.signal(syscall.SIGHUP)
		time.Sleep(time.Duration(dice.IntN(15)) * time.Millisecond)
		d.kill()
		kills++
		d.start()
		// A server that the table does not have may be one that had been found dead: it has
		// to be asked first.
		eventually(t, 5*time.Second, func() error {
			if left := plan(t, l, d.file); len(left) > 0 {
				return fmt.Errorf("killed after %d reloads and started again, the director leaves %v undone", i, left)
			}
			return nil
		})
	}
	broken := c.ends()
	for client, err := range broken {
		if stay[client] {
			t.Errorf("a connection of a server that stayed was broken: %v", err)
		}
	}
	t.Logf("%d reloads and %d kills: of %d connections of servers that stayed none was broken, of %d others %d", n, kills, len(stay), 500-len(stay), len(broken))
}

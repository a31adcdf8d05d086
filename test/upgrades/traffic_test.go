package upgrades

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
)

// port is where the servers of this package listen, by TCP and UDP.
const port = 9000

// settle is how long both ends are left alone before they are compared.
const settle = 500 * time.Millisecond

// traffic is what goes through a director while it is worked on: long connections of
// TCP, flows of UDP, and connections that come and go. Both ends are this process, so
// that what one has sent can be compared with what the other got.
type traffic struct {
	t     *testing.T
	vip   string
	dial  lab.DialFunc
	stop  chan struct{}
	all   sync.WaitGroup
	long  []*long
	flows []*flow

	mu       sync.Mutex
	accepted map[string]*net.TCPConn // by the client's address

	came, failed atomic.Int64 // of the connections that come and go
	fault        atomic.Value // the first that failed, in words
}

// long is a connection that lasts, with its ends' counts when it was new.
type long struct {
	client, server *net.TCPConn
	before         ends
	asked          int
	err            error
}

// ends are what the ends of a connection have counted.
type ends struct {
	sent, got   [2]int // segments of the client and of the server
	retransmits int
}

// flow is one of UDP, whose packets are numbered.
type flow struct {
	conn net.Conn
	sent uint64
	seen map[uint64]bool
}

// start begins the traffic, and returns when each long connection and each flow has
// its answer.
func start(t *testing.T, l *lab.Lab, longs, flows int) *traffic {
	t.Helper()
	x := &traffic{
		t: t, vip: netip.AddrPortFrom(lab.VIP(4), port).String(), dial: l.Dial(lab.ClientNode(1)),
		stop: make(chan struct{}), accepted: map[string]*net.TCPConn{},
	}
	for i := range l.Servers {
		if err := x.serve(l, lab.ServerNode(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for range longs {
		c, err := x.connect()
		if err != nil {
			t.Fatalf("a long connection: %v", err)
		}
		x.long = append(x.long, c)
	}
	for range flows {
		c, err := x.dial(t.Context(), "udp", x.vip)
		if err != nil {
			t.Fatal(err)
		}
		x.flows = append(x.flows, &flow{conn: c, seen: map[uint64]bool{}})
	}
	time.Sleep(settle)
	for _, c := range x.long {
		c.before = c.counts(t)
		x.all.Go(func() { c.err = c.talk(x.stop) })
	}
	for _, f := range x.flows {
		x.all.Go(func() { f.send(x.stop) })
		x.all.Go(f.receive)
	}
	for range 2 {
		x.all.Go(x.churn)
	}
	return x
}

// serve echoes on a server until the test ends.
func (x *traffic) serve(l *lab.Lab, node string) error {
	return l.Do(node, func() error {
		at := fmt.Sprintf(":%d", port)
		listener, err := net.Listen("tcp4", at)
		if err != nil {
			return err
		}
		x.t.Cleanup(func() { listener.Close() })
		go x.accept(listener)
		socket, err := net.ListenPacket("udp4", at)
		if err != nil {
			return err
		}
		x.t.Cleanup(func() { socket.Close() })
		go echoPackets(socket)
		return nil
	})
}

func (x *traffic) accept(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		x.mu.Lock()
		x.accepted[c.RemoteAddr().String()] = c.(*net.TCPConn)
		x.mu.Unlock()
		go func() {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err == nil {
					_, err = c.Write(buf[:n])
				}
				if err != nil {
					c.Close()
					return
				}
			}
		}()
	}
}

func echoPackets(socket net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := socket.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = socket.WriteTo(buf[:n], from) // a loss is seen at the other end
	}
}

// connect makes a long connection, asks once, and finds its other end.
func (x *traffic) connect() (*long, error) {
	c, err := x.dial(x.t.Context(), "tcp", x.vip)
	if err != nil {
		return nil, err
	}
	client := c.(*net.TCPConn)
	if err := ask(client, 0, 64); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	server := x.accepted[client.LocalAddr().String()]
	if server == nil {
		return nil, errors.New("no server has it")
	}
	return &long{client: client, server: server}, nil
}

// ask sends a numbered message and waits for it to come back whole.
func ask(c *net.TCPConn, number uint64, size int) error {
	message := make([]byte, size)
	binary.BigEndian.PutUint64(message, number)
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(message); err != nil {
		return err
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if string(answer) != string(message) {
		return errors.New("the answer is not what was asked")
	}
	return nil
}

// talk asks again and again, messages of all sizes.
func (c *long) talk(stop <-chan struct{}) error {
	for n := 1; ; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(20 * time.Millisecond):
		}
		if err := ask(c.client, uint64(n), 8+n*37%1200); err != nil {
			return err
		}
		c.asked++
	}
}

// counts reads what both ends have counted.
func (c *long) counts(t *testing.T) (e ends) {
	t.Helper()
	for i, end := range []*net.TCPConn{c.client, c.server} {
		raw, err := end.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var info *unix.TCPInfo
		if controlErr := raw.Control(func(fd uintptr) {
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		}); controlErr != nil || err != nil {
			t.Fatal(controlErr, err)
		}
		e.sent[i], e.got[i] = int(info.Segs_out), int(info.Segs_in)
		e.retransmits += int(info.Total_retrans)
	}
	return e
}

// send sends a packet each half millisecond, as far as it is let to.
func (f *flow) send(stop <-chan struct{}) {
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for ; ; f.sent++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			_, _ = f.conn.Write(binary.BigEndian.AppendUint64(nil, f.sent)) // a loss is seen at the other end
		}
	}
}

func (f *flow) receive() {
	buf := make([]byte, 2048)
	for {
		n, err := f.conn.Read(buf)
		if err != nil {
			return
		}
		if n == 8 {
			f.seen[binary.BigEndian.Uint64(buf)] = true
		}
	}
}

// churn makes a connection after the other, each of which asks twice and ends.
func (x *traffic) churn() {
	for n := uint64(1); ; n++ {
		select {
		case <-x.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		if err := x.comeAndGo(n); err != nil {
			x.failed.Add(1)
			x.fault.CompareAndSwap(nil, err.Error())
			continue
		}
		x.came.Add(1)
	}
}

func (x *traffic) comeAndGo(n uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := x.dial(ctx, "tcp", x.vip)
	if err != nil {
		return err
	}
	defer c.Close()
	return errors.Join(ask(c.(*net.TCPConn), n, 100), ask(c.(*net.TCPConn), n, 900))
}

// end stops the traffic and says what became of it. Nothing of it may be lost.
func (x *traffic) end() {
	x.t.Helper()
	close(x.stop)
	time.Sleep(settle)
	for _, f := range x.flows {
		f.conn.Close()
	}
	x.all.Wait()
	broken, asked, segments, lost, retransmits := 0, 0, 0, 0, 0
	for _, c := range x.long {
		asked += c.asked
		if c.err != nil {
			broken++
			x.t.Errorf("the connection of %v: %v", c.client.LocalAddr(), c.err)
			continue
		}
		after := c.counts(x.t)
		for i := range after.sent {
			sent, got := after.sent[i]-c.before.sent[i], after.got[1-i]-c.before.got[1-i]
			segments += sent
			lost += max(0, sent-got)
		}
		retransmits += after.retransmits - c.before.retransmits
		c.client.Close()
	}
	packets, missing := uint64(0), 0
	for _, f := range x.flows {
		packets += f.sent
		for n := range f.sent {
			if !f.seen[n] {
				missing++
			}
		}
	}
	x.t.Logf("TCP: %d connections, %d broken; %d questions, %d segments, %d lost, %d sent twice", len(x.long), broken, asked, segments, lost, retransmits)
	x.t.Logf("UDP: %d flows, %d packets, %d lost", len(x.flows), packets, missing)
	x.t.Logf("connections that came and went: %d, failed %d", x.came.Load(), x.failed.Load())
	if broken > 0 || lost > 0 || missing > 0 || x.failed.Load() > 0 {
		x.t.Errorf("%d of %d connections broken, %d of %d segments and %d of %d datagrams lost, %d new connections failed: %v",
			broken, len(x.long), lost, segments, missing, packets, x.failed.Load(), x.fault.Load())
	}
	if asked < len(x.long) || packets < uint64(len(x.flows)) || x.came.Load() == 0 {
		x.t.Error("there was no traffic to speak of")
	}
}

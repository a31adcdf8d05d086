package health

import (
	"context"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/test/alone"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	alone.Main(m, "192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128")
}

// serve accepts connections on a port of its own and hands each to talk until the
// test ends.
func serve(t *testing.T, talk func(net.Conn)) netip.AddrPort {
	t.Helper()
	return serveAt(t, "192.0.2.1:0", talk)
}

func serveAt(t *testing.T, at string, talk func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				talk(c)
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// datagrams answers datagrams until the test ends; nil is no answer.
func datagrams(t *testing.T, answer func([]byte) []byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := answer(buffer[:n]); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	}()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// nobody is a port that nobody listens on.
func nobody(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// silent accepts, and says nothing.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says writes a text after it has read something, and hangs up.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
	}
}

// trickles writes the text a byte a second.
func trickles(text string) func(net.Conn) {
	return func(c net.Conn) {
		for i := range text {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

// outcome is a check to be made and what is to come of it.
type outcome struct {
	name string
	spec Spec
	at   netip.AddrPort
	up   bool
	says string
}

// short is the timeout of checks that are meant to run into it.
const short = Duration(300 * time.Millisecond)

// judge runs the checks and compares what came of them.
func judge(t *testing.T, outcomes []outcome) {
	t.Helper()
	for _, o := range outcomes {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			if found := o.spec.Validate(); len(found) > 0 {
				t.Fatal(found)
			}
			r := check(t, o.spec, Target{Addr: o.at, Weight: 10})
			if r.Up != o.up || !strings.Contains(r.Detail, o.says) || r.Void {
				t.Errorf("%+v", r)
			}
			most := time.Duration(o.spec.WithDefaults().Timeout) + 500*time.Millisecond
			if r.Latency > most {
				t.Errorf("took %v", r.Latency)
			}
		})
	}
}

func check(t *testing.T, s Spec, target Target) Result {
	t.Helper()
	c, err := s.New(target)
	if err != nil {
		t.Fatal(err)
	}
	return c.Check(context.Background())
}

// quiet is for servers that complain about what tests do to them.
var quiet = log.New(io.Discard, "", 0)

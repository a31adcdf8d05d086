package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTCP(t *testing.T) {
	banner := serve(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 well\r\n")
		silent(c)
	})
	judge(t, []outcome{
		{"accepted", Spec{Kind: "tcp"}, serve(t, silent), true, ""},
		{"accepted over IPv6", Spec{Kind: "tcp"}, serveAt(t, "[2001:db8::1]:0", silent), true, ""},
		{"refused", Spec{Kind: "tcp"}, nobody(t), false, "connection refused"},
		{"a greeting", Spec{Kind: "tcp", Talk: Talk{Expect: "^220 "}}, banner, true, ""},
		{"a greeting in hexadecimal", Spec{Kind: "tcp", Talk: Talk{ExpectHex: "32 32 3x"}}, banner, true, ""},
		{"another greeting", Spec{Kind: "tcp", Timeout: short, Talk: Talk{Expect: "^554 "}}, banner, false, `does not match: "220 well`},
		{"a greeting that does not come", Spec{Kind: "tcp", Timeout: short, Talk: Talk{Expect: "x"}}, serve(t, silent), false, "no whole answer within 300ms"},
		{"closed at once", Spec{Kind: "tcp", Talk: Talk{Expect: "x"}}, serve(t, func(net.Conn) {}), false, "closed without an answer"},
		{"question and answer", Spec{Kind: "tcp", Talk: Talk{Send: "PING\r\n", Expect: "^.PONG"}}, serve(t, says("+PONG\r\n")), true, ""},
		{"an answer a byte a second", Spec{Kind: "tcp", Timeout: short, Talk: Talk{Expect: "PONG"}}, serve(t, trickles("+PONG\r\n")), false, `does not match: "+"`},
	})
}

func TestTimeToConnectIsBoundedByItself(t *testing.T) {
	// A listener whose queue is full does not answer.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{192, 0, 2, 2}, Port: 7777}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("192.0.2.2:7777")
	for range 2 {
		c, err := net.DialTimeout("tcp", at.String(), 200*time.Millisecond)
		if err == nil {
			defer c.Close()
		}
	}
	began := time.Now()
	r := check(t, Spec{Kind: "tcp", ConnectTimeout: short, Timeout: Duration(5 * time.Second)}, Target{Addr: at})
	if r.Up || r.Detail != "no connection within 300ms" || time.Since(began) > time.Second {
		t.Errorf("%+v after %v", r, time.Since(began))
	}
}

func TestACheckByTCPEndsWithoutAReset(t *testing.T) {
	for name, words := range map[string]string{"a server that is silent": "", "a server that greets": "220 mail.example.org ESMTP\r\n"} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan error, 1)
			at := serve(t, func(c net.Conn) {
				time.Sleep(50 * time.Millisecond) // the check is over, were it in a hurry
				_, err := io.WriteString(c, words)
				if err == nil {
					_, err = c.Read(make([]byte, 1))
				}
				ends <- err
			})
			r := check(t, Spec{Kind: "tcp"}, Target{Addr: at})
			if !r.Up || r.Latency > 40*time.Millisecond {
				t.Errorf("%+v", r)
			}
			if err := <-ends; !errors.Is(err, io.EOF) {
				t.Errorf("the server sees %v", err)
			}
		})
	}
}

func TestACheckEndsWithItsContextAndSaysNothingOfTheServer(t *testing.T) {
	for _, s := range []Spec{
		{Kind: "tcp", Talk: Talk{Expect: "x"}}, {Kind: "http"}, {Kind: "https"}, {Kind: "tls"}, {Kind: "smtp"}, {Kind: "grpc"},
		{Kind: "dns", DNS: DNS{Transport: "tcp"}}, {Kind: "exec", Program: Program{Command: []string{"/bin/sleep", "5"}}},
	} {
		t.Run(s.Kind, func(t *testing.T) {
			t.Parallel()
			c, err := s.New(Target{Addr: serve(t, silent)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(100*time.Millisecond, cancel)
			began := time.Now()
			if r := c.Check(ctx); r.Up || !r.Void || time.Since(began) > time.Second {
				t.Errorf("%+v after %v", r, time.Since(began))
			}
		})
	}
}

func TestWhereAndFromWhere(t *testing.T) {
	from := make(chan string, 10)
	at := serveAt(t, "192.0.2.2:0", func(c net.Conn) {
		from <- c.RemoteAddr().String()
		silent(c)
	})
	elsewhere := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), at.Port())
	source := Address{netip.MustParseAddr("192.0.2.1")}
	for _, c := range []struct {
		name, from string
		spec       Spec
		target     netip.AddrPort
	}{
		{"another address", "192.0.2.2", Spec{Address: Address{at.Addr()}}, elsewhere},
		{"another port", "192.0.2.2", Spec{Port: at.Port()}, netip.AddrPortFrom(at.Addr(), 1)},
		{"a source", "192.0.2.1", Spec{Source: source}, at},
		{"a source and its port", "192.0.2.1:4321", Spec{Source: source, SourcePort: 4321}, at},
		{"the same again at once", "192.0.2.1:4321", Spec{Source: source, SourcePort: 4321}, at},
		{"an interface", "192.0.2.2", Spec{Interface: "lo"}, at},
		{"a mark", "192.0.2.2", Spec{FWMark: 7}, at},
		{"the way of the clients", "192.0.2.1", Spec{Via: ViaVIP}, elsewhere},
		{"another port of the VIP", "192.0.2.1", Spec{Via: ViaVIP, Port: at.Port()}, elsewhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Kind = "tcp"
			r := check(t, c.spec, Target{Addr: c.target, VIP: at, Path: Path{Mark: 5, Source: source.Addr}})
			if !r.Up {
				t.Fatal(r)
			}
			host, _, _ := net.SplitHostPort(c.from)
			if host == "" {
				host = c.from
			}
			got := <-from
			gotHost, _, _ := net.SplitHostPort(got)
			if gotHost != host || host != c.from && got != c.from {
				t.Errorf("came from %s", got)
			}
		})
	}
}

func TestWhatThisHostLacksIsNotTheServersFault(t *testing.T) {
	at := serve(t, silent)
	for name, s := range map[string]Spec{
		"an interface that is gone":       {Interface: "gone0"},
		"an address that is not its own":  {Source: Address{netip.MustParseAddr("192.0.2.99")}},
		"an echo from a foreign address":  {Kind: "icmp", Source: Address{netip.MustParseAddr("192.0.2.99")}},
		"a datagram from a gone one, too": {Kind: "udp", Interface: "gone0"},
	} {
		t.Run(name, func(t *testing.T) {
			if s.Kind == "" {
				s.Kind = "tcp"
			}
			r := check(t, s, Target{Addr: at})
			if r.Up || !r.Void || r.Detail == "" {
				t.Errorf("%+v", r)
			}
			if st := StateOf(s, time.Now()).Next(s, r, time.Now()); st.Wavers() {
				t.Error("the state minds")
			}
		})
	}
}

func TestACheckThatCannotBeMadeSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		spec   Spec
		target string
		says   string
	}{
		"no port":             {Spec{Kind: "tcp"}, "192.0.2.1:0", "give the check one (port)"},
		"another family":      {Spec{Kind: "tcp", Source: Address{netip.MustParseAddr("2001:db8::1")}}, "192.0.2.1:80", "another family"},
		"no way via the VIP":  {Spec{Kind: "tcp", Via: ViaVIP}, "192.0.2.1:80", "via: real"},
		"no such CA":          {Spec{Kind: "tls", TLS: &TLS{CA: "/nonexistent"}}, "192.0.2.1:80", "tls.ca"},
		"a CA of nothing":     {Spec{Kind: "tls", TLS: &TLS{CA: "/dev/null"}}, "192.0.2.1:80", "no certificate"},
		"no such certificate": {Spec{Kind: "tls", TLS: &TLS{Cert: "/nonexistent", Key: "/nonexistent"}}, "192.0.2.1:80", "tls.cert"},
		"no such user":        {Spec{Kind: "exec", Program: Program{Command: []string{"/bin/true"}, User: "nobody-at-all"}}, "192.0.2.1:80", "user"},
		"no such kind":        {Spec{Kind: "ftp"}, "192.0.2.1:80", "ftp"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.spec.New(Target{Addr: netip.MustParseAddrPort(c.target)})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

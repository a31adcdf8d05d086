package discovery

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/evs-project/evs/internal/config"
)

// A zone answers questions, "NAME TYPE", with records as text, "TTL DATA".
type zone map[string][]string

// resource is a record of a zone.
func resource(name dnsmessage.Name, text string) dnsmessage.Resource {
	var ttl uint32
	words := strings.Fields(text)
	for _, digit := range words[0] {
		ttl = ttl*10 + uint32(digit-'0')
	}
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}
	if len(words) > 3 {
		number := func(s string) (n uint16) {
			for _, digit := range s {
				n = n*10 + uint16(digit-'0')
			}
			return n
		}
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.SRVResource{
			Priority: number(words[1]), Weight: number(words[2]), Port: number(words[3]), Target: dnsmessage.MustNewName(words[4])}}
	}
	a := netip.MustParseAddr(words[1])
	if a.Is6() {
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}
}

// answer is what a resolver with the zone answers.
func (z zone) answer(t *testing.T, text []byte, network string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(text); err != nil || len(m.Questions) != 1 {
		t.Errorf("asked %v, %v", m, err)
		return nil
	}
	m.Response = true
	q := m.Questions[0]
	kind := strings.TrimPrefix(q.Type.String(), "Type")
	records, ok := z[q.Name.String()+" "+kind]
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, r := range records {
		switch name, beside, is := strings.Cut(r, " has "); {
		case r == "refused":
			m.RCode = dnsmessage.RCodeRefused
		case r == "long" && network == "udp":
			m.Truncated = true
		case r == "long":
		case is:
			m.Additionals = append(m.Additionals, resource(dnsmessage.MustNewName(name), beside))
		case !m.Truncated:
			m.Answers = append(m.Answers, resource(q.Name, r))
		}
	}
	out, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return out
}

// resolver answers by UDP and TCP. It leaves the first question out, if told to, and
// answers each with a forgery before.
func resolver(t *testing.T, z zone, loses int32) netip.AddrPort {
	t.Helper()
	u, err := net.ListenPacket("udp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", u.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close(); l.Close() })
	var left atomic.Int32
	left.Store(loses)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := u.ReadFrom(buffer)
			if err != nil {
				return
			}
			if left.Add(-1) >= 0 {
				continue
			}
			out := z.answer(t, buffer[:n], "udp")
			forged := append([]byte{out[0] + 1}, out[1:]...)
			_, _ = u.WriteTo(forged, from)
			_, _ = u.WriteTo(out, from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			_, _ = io.ReadFull(c, length[:])
			text := make([]byte, binary.BigEndian.Uint16(length[:]))
			_, _ = io.ReadFull(c, text)
			out := z.answer(t, text, "tcp")
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			c.Close()
		}
	}()
	return netip.MustParseAddrPort(u.LocalAddr().String())
}

func TestServersAreFoundByTheirNames(t *testing.T) {
	four, six, tunnel := service(t, "tcp: 203.0.113.10:80, method: masq"), service(t, "tcp: \"[2001:db8::10]:80\", method: masq"), service(t, "tcp: 203.0.113.10:80, method: tunnel")
	z := zone{
		"web.example.org. A":    {"60 192.0.2.3", "30 192.0.2.2", "60 192.0.2.3"},
		"web.example.org. AAAA": {"20 2001:db8::2"},
		"long.example.org. A":   {"long", "90 192.0.2.4"},
		"closed.example.org. A": {"refused"},
		"empty.example.org. A":  {},
		"zero.example.org. A":   {"0 192.0.2.2"},
		"years.example.org. A":  {"99999999 192.0.2.2"},
		"_w._tcp.example.org. SRV": {"60 10 3 8080 a.example.org.", "60 10 1 8080 b.example.org.", "60 20 9 8080 c.example.org.",
			"a.example.org. has 15 192.0.2.2", "a.example.org. has 15 2001:db8::2", "other.example.org. has 60 192.0.2.9"},
		"b.example.org. A":         {"50 192.0.2.3", "50 192.0.2.4"},
		"_0._tcp.example.org. SRV": {"60 0 0 80 b.example.org."},
		"_1._tcp.example.org. SRV": {"60 0 0 80 b.example.org.", "60 0 4 81 b.example.org."},
		"_2._tcp.example.org. SRV": {"60 0 2 80 b.example.org.", "60 0 4 80 b.example.org."},
		"_n._tcp.example.org. SRV": {"60 0 0 0 ."},
		"_x._tcp.example.org. SRV": {"60 0 0 80 nothing.example.org."},
		"_m._tcp.example.org. SRV": {"60 0 0 80 b.example.org.", "60 0 0 81 b.example.org.", "60 0 0 82 b.example.org.", "60 0 0 83 b.example.org.", "60 0 0 84 b.example.org."},
	}
	at, deaf := resolver(t, z, 0), resolver(t, z, 1)
	for _, c := range []struct {
		name, record string
		service      config.Service
		resolver     netip.AddrPort
		want         string
		next         time.Duration
		wrong        string
	}{
		{"web.example.org", "A+AAAA", four, at, "192.0.2.2*5 192.0.2.3*5", 30 * time.Second, ""},
		{"web.example.org", "A+AAAA", six, at, "2001:db8::2*5", 20 * time.Second, ""},
		{"web.example.org.", "A+AAAA", tunnel, at, "192.0.2.2*5 192.0.2.3*5 2001:db8::2*5", 20 * time.Second, ""},
		{"web.example.org", "A", four, deaf, "192.0.2.2*5 192.0.2.3*5", 30 * time.Second, ""},
		{"web.example.org", "AAAA", four, at, "", 0, "another family"},
		{"long.example.org", "A", four, at, "192.0.2.4*5", 90 * time.Second, ""},
		{"zero.example.org", "A", four, at, "192.0.2.2*5", time.Minute, ""},
		{"years.example.org", "A", four, at, "192.0.2.2*5", time.Hour, ""},
		{"closed.example.org", "A", four, at, "", 0, "REFUSED"},
		{"empty.example.org", "A", four, at, "", 0, "the answer has no server"},
		{"nothing.example.org", "A", four, at, "", 0, "NXDOMAIN"},
		{"web.example.org", "A", four, netip.MustParseAddrPort("192.0.2.1:1"), "", 0, "connection refused"},
		{"_w._tcp.example.org", "SRV", four, at, "192.0.2.2:8080*3 192.0.2.3:8080*1 192.0.2.4:8080*1", 15 * time.Second, ""},
		{"_0._tcp.example.org", "SRV", four, at, "192.0.2.3:80*5 192.0.2.4:80*5", 50 * time.Second, ""},
		{"_1._tcp.example.org", "SRV", four, at, "192.0.2.3:80*1 192.0.2.3:81*4 192.0.2.4:80*1 192.0.2.4:81*4", 50 * time.Second, ""},
		{"_2._tcp.example.org", "SRV", four, at, "192.0.2.3:80*6 192.0.2.4:80*6", 50 * time.Second, ""},
		{"_n._tcp.example.org", "SRV", four, at, "", 0, "the answer has no server"},
		{"_x._tcp.example.org", "SRV", four, at, "", 0, "nothing.example.org.: NXDOMAIN"},
		{"_m._tcp.example.org", "SRV", four, at, "", 0, "5 records, more than the limit of 4"},
	} {
		t.Run(c.name+" "+c.record, func(t *testing.T) {
			t.Parallel()
			d := config.Discovery{Kind: "dns", Name: c.name, Record: c.record, Resolver: c.resolver, Interval: time.Minute, Timeout: time.Second, Limit: 4}
			ask, err := newDNS(asking{Discovery: d, service: c.service})
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(t.Context())
			var servers []config.Destination
			if err == nil {
				servers, err = c.service.Found(d, "dns", got.text)
			}
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("found %s, error %v, want one that says %q", got.text, err, c.wrong)
				}
				return
			}
			if err != nil || told(servers) != c.want || got.next != c.next {
				t.Errorf("found %s, again after %v, error %v, want %s after %v", told(servers), got.next, err, c.want, c.next)
			}
		})
	}
}

package packet

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

var (
	vip    = netip.MustParseAddr("198.51.100.129")
	server = netip.MustParseAddr("203.0.113.1")
)

// A step is a command or a packet. The client's address is the case's own.
type step struct {
	ipvsadm string // run in the director
	sysctl  string // name=value, likewise

	pkt    bed.Packet
	change func(frame []byte) []byte // what is unusual about its frame
	want   verdict
	counts string     // the reason counted for it, "" any
	slow   bool       // XDP leaves it to tc
	out    bed.Packet // how it is sent on: what differs from pkt
}

// sent is a client's packet that is sent to the first server.
func sent(proto, flags string) step {
	return step{
		pkt:  bed.Packet{Proto: proto, Sport: 4000, Dst: vip, Dport: 80, Flags: flags, Len: 9},
		want: send,
		out:  bed.Packet{Dst: server, Dport: 8080},
	}
}

// answered is a packet of the first server that is sent to the client.
func answered(proto, flags string) step {
	return step{
		pkt:  bed.Packet{From: "server", Proto: proto, Src: server, Sport: 8080, Dport: 4000, Flags: flags, Len: 9},
		want: send,
		out:  bed.Packet{Src: vip, Sport: 80},
	}
}

// but is a step with another outcome.
func (s step) but(v verdict, counts string) step {
	s.want, s.counts = v, counts
	return s
}

// changed is a step with an unusual frame.
func (s step) changed(how func([]byte) []byte) step {
	s.change = how
	return s
}

// slowly is a step with a packet that XDP leaves to tc.
func (s step) slowly() step {
	s.slow = true
	return s
}

// to is a step to another port of the VIP.
func (s step) to(port uint16) step {
	s.pkt.Dport = port
	return s
}

// opened is a new connection from a port to port 85, and the server that gets it.
func opened(from uint16, to string) step {
	return step{
		pkt:  bed.Packet{Proto: "tcp", Sport: from, Dst: vip, Dport: 85, Flags: "S"},
		want: send,
		out:  bed.Packet{Dst: netip.MustParseAddr(to), Dport: 8080},
	}
}

// word changes a 16-bit word of the IP header.
func word(at int, value uint16) func([]byte) []byte {
	return func(f []byte) []byte {
		f[14+at], f[14+at+1] = byte(value>>8), byte(value)
		return bed.Checksummed(f)
	}
}

// setup is what every case begins with.
const setup = `-C
-A -t 198.51.100.129:80 -s rr
-a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m
-A -u 198.51.100.129:80 -s rr
-a -u 198.51.100.129:80 -r 203.0.113.1:8080 -m
-A -t 198.51.100.129:81 -s rr
-A -t 198.51.100.129:82 -s wrr
-a -t 198.51.100.129:82 -r 203.0.113.1:8080 -m -w 0
-A -t 198.51.100.129:83 -s rr
-a -t 198.51.100.129:83 -r 203.0.113.1 -m`

var cases = []struct {
	name  string
	steps []step
}{
	{"a SYN makes a connection, and both directions are translated", []step{
		sent("tcp", "S").but(send, "new_connection"), answered("tcp", "SA"), sent("tcp", "A"), sent("tcp", "PA"), answered("tcp", "A"),
	}},
	{"the first packet of UDP makes a connection", []step{
		sent("udp", "").but(send, "new_connection"), answered("udp", ""), sent("udp", ""),
	}},
	{"TCP and UDP from one port are two connections", []step{
		sent("tcp", "S").but(send, "new_connection"), sent("udp", "").but(send, "new_connection"), answered("udp", ""), answered("tcp", "SA"),
	}},
	{"a destination without a port keeps that of the packet", []step{
		{pkt: bed.Packet{Proto: "tcp", Sport: 4000, Dst: vip, Dport: 83, Flags: "S"}, want: send, out: bed.Packet{Dst: server, Dport: 83}},
		{pkt: bed.Packet{From: "server", Proto: "tcp", Src: server, Sport: 83, Dport: 4000, Flags: "SA"}, want: send, out: bed.Packet{Src: vip, Sport: 83}},
	}},
	{"a SYN with an ACK begins a connection too, as in the kernel", []step{sent("tcp", "SA").but(send, "new_connection")}},
	{"an ACK of no connection is the host's to answer", []step{sent("tcp", "A").but(leave, "not_a_start")}},
	{"a FIN of no connection is the host's to answer", []step{sent("tcp", "FA").but(leave, "not_a_start")}},
	{"an RST of no connection is the host's", []step{sent("tcp", "R").but(leave, "not_a_start")}},
	{"a SYN that resets begins nothing", []step{sent("tcp", "SR").but(leave, "not_a_start")}},
	{"TCP without a flag begins nothing", []step{sent("tcp", "").but(leave, "not_a_start")}},
	{"a service without a destination refuses", []step{sent("tcp", "S").to(81).but(refuse, "no_destination")}},
	{"a service whose destinations are all quiescent refuses", []step{sent("tcp", "S").to(82).but(refuse, "no_destination")}},
	{"a port without a service is the host's", []step{sent("tcp", "S").to(84).but(leave, "")}},
	{"another protocol on a service's port is the host's", []step{sent("udp", "").to(81).but(leave, "")}},
	{"what is for nobody's VIP passes", []step{
		{pkt: bed.Packet{Proto: "tcp", Sport: 4000, Dst: server, Dport: 8080, Flags: "S"}, want: leave},
	}},
	{"a server's own connections pass", []step{answered("tcp", "S").but(leave, ""), answered("udp", "").but(leave, "")}},
	{"an answer from another port of the server is not the connection's", []step{
		sent("tcp", "S"),
		{pkt: bed.Packet{From: "server", Proto: "tcp", Src: server, Sport: 8081, Dport: 4000, Flags: "SA"}, want: leave},
	}},
	{"an answer to another port of the client is not the connection's", []step{
		sent("tcp", "S"),
		{pkt: bed.Packet{From: "server", Proto: "tcp", Src: server, Sport: 8080, Dport: 4001, Flags: "SA"}, want: leave},
	}},
	{"the first fragment is translated like a whole packet", []step{sent("tcp", "S").changed(word(6, 0x2000)).but(send, "new_connection").slowly()}},
	{"a later fragment that comes first is kept", []step{sent("udp", "").changed(word(6, 0x0010)).but(drop, "fragment").slowly()}},
	{"what arrives with its last hop used up is refused", []step{
		{pkt: bed.Packet{Proto: "udp", Sport: 4000, Dst: vip, Dport: 80, TTL: 1}, want: refuse, counts: "ttl_exceeded"},
	}},
	{"a transport header cut short is left to the kernel", []step{
		sent("tcp", "S").changed(func(f []byte) []byte { return f[:14+20+10] }).but(leave, "malformed"),
	}},
	{"a packet that is shorter than it says is the kernel's to drop", []step{sent("udp", "").changed(word(2, 0x0400)).but(leave, "malformed")}},
	{"a packet that says it is shorter than its headers is the kernel's to drop", []step{sent("udp", "").changed(word(2, 0x0010)).but(leave, "malformed")}},
	{"IP options go along unchanged", []step{
		sent("udp", "").changed(func(f []byte) []byte {
			f = append(f[:34:34], append([]byte{1, 1, 1, 0}, f[34:]...)...)
			f[14], f[17] = 0x46, f[17]+4
			return bed.Checksummed(f)
		}).slowly(),
	}},
	{"an IP header shorter than it can be passes", []step{sent("tcp", "S").changed(word(0, 0x4400)).but(leave, "")}},
	{"a packet of another version of IP passes", []step{sent("tcp", "S").changed(word(0, 0x6500)).but(leave, "")}},
	{"a frame of another protocol passes", []step{
		sent("tcp", "S").changed(func(f []byte) []byte { f[12], f[13] = 8, 6; return f }).but(leave, ""),
	}},
	{"a multicast frame passes", []step{
		sent("tcp", "S").changed(func(f []byte) []byte { f[0] |= 1; return f }).but(leave, ""),
	}},
	{"a protocol that has no ports passes", []step{
		sent("udp", "").changed(func(f []byte) []byte { f[23] = 50; return f }).but(leave, ""),
	}},
	{"a removed destination gets no more packets, and its own again when it is back", []step{
		sent("tcp", "S"), sent("tcp", "A"),
		{ipvsadm: "-d -t 198.51.100.129:80 -r 203.0.113.1:8080"},
		sent("tcp", "A").but(drop, "destination_gone"), answered("tcp", "A"),
		{ipvsadm: "-a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m"},
		sent("tcp", "A").but(send, ""),
	}},
	{"a quiescent destination keeps its connections", []step{
		sent("tcp", "S"),
		{ipvsadm: "-e -t 198.51.100.129:80 -r 203.0.113.1:8080 -m -w 0"},
		sent("tcp", "A"), sent("tcp", "S").to(80).but(send, ""),
	}},
	{"a client that opens a reset connection again meets a new one", []step{
		sent("tcp", "S"), sent("tcp", "A"), sent("tcp", "R"), sent("tcp", "S").but(send, "reopened"),
	}},
	{"a client that resets before it was answered is opening still", []step{
		sent("tcp", "S").but(send, "new_connection"), sent("tcp", "R"), sent("tcp", "S"), answered("tcp", "SA"),
	}},
	{"a client that opens a closed connection again meets a new one", []step{
		sent("tcp", "S"), answered("tcp", "SA"), sent("tcp", "A"), sent("tcp", "FA"), answered("tcp", "FA"), sent("tcp", "A"),
		sent("tcp", "S").but(send, "reopened"),
	}},
	{"without a service left, old connections are the host's, until there is one again", []step{
		sent("tcp", "S"), {ipvsadm: "-C"}, sent("tcp", "A").but(leave, ""), answered("tcp", "SA").but(leave, ""),
		{ipvsadm: "-A -u 198.51.100.200:9 -s rr"},
		sent("tcp", "A").but(drop, "destination_gone"), answered("tcp", "SA"),
	}},
	{"an edit of the service leaves the turn of its scheduler alone", []step{
		{ipvsadm: "-A -t 198.51.100.129:85 -s wrr"},
		{ipvsadm: "-a -t 198.51.100.129:85 -r 203.0.113.1:8080 -m"},
		{ipvsadm: "-a -t 198.51.100.129:85 -r 203.0.113.2:8080 -m"},
		opened(4001, "203.0.113.2"),
		{ipvsadm: "-E -t 198.51.100.129:85 -s wrr -b flag-1"},
		opened(4002, "203.0.113.1"),
		{ipvsadm: "-E -t 198.51.100.129:85 -s rr"},
		opened(4003, "203.0.113.2"),
		{ipvsadm: "-e -t 198.51.100.129:85 -r 203.0.113.2:8080 -m -w 5"},
		opened(4004, "203.0.113.1"),
		{ipvsadm: "-E -t 198.51.100.129:85 -s rr -b flag-1"},
		opened(4005, "203.0.113.2"),
	}},
	{"nothing is forwarded where forwarding is off", []step{
		{sysctl: "net.ipv4.ip_forward=0"},
		{ipvsadm: "-a -t 198.51.100.129:81 -r 203.0.113.60:8080 -m"},
		sent("tcp", "S").to(81).but(drop, "forwarding_disabled"),
		{sysctl: "net.ipv4.ip_forward=1"},
	}},
	{"what there is no route for is refused", []step{
		{ipvsadm: "-a -t 198.51.100.129:81 -r 10.9.9.9:8080 -m"},
		sent("tcp", "S").to(81).but(refuse, "no_route"),
	}},
}

func TestBothDoorsDoTheSameWithAPacket(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			r := newRunner(t, d, b)
			for i, c := range cases {
				commands(t, b, setup)
				client := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})
				for n, s := range c.steps {
					if why := r.step(t, s, client); why != "" {
						t.Errorf("%s: step %d: %s", c.name, n+1, why)
						break
					}
				}
			}
		})
	}
}

func command(t *testing.T, b *bed.Bed, line string) {
	t.Helper()
	if _, stderr, exit := b.Ipvsadm(strings.Fields(line)...); exit != 0 {
		t.Fatalf("ipvsadm %s: exit %d: %s", line, exit, stderr)
	}
}

// commands runs lines of ipvsadm.
func commands(t *testing.T, b *bed.Bed, lines string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		command(t, b, line)
	}
}

// step plays a step, and says in what it came out otherwise.
func (r *runner) step(t *testing.T, s step, client netip.Addr) string {
	switch {
	case s.ipvsadm != "":
		command(t, r.bed, s.ipvsadm)
		return ""
	case s.sysctl != "":
		if err := r.bed.Sysctl(s.sysctl); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	if s.slow && r.door.mode == ipvs.AttachXDP {
		s.want, s.counts = leave, "slow_path"
	} else if s.want == leave && r.door.mode == ipvs.AttachXDP {
		s.counts = "" // tc counts what XDP leaves to the kernel
	}
	before := counters(t, r.bed)
	in := withClient(s.pkt, client)
	got, out, err := r.run(frameOf(t, in, s.change), in.FromServer())
	if err != nil {
		return err.Error()
	}
	if s.want == refuse {
		return r.refused(t, s, got, out, before)
	}
	if got != s.want {
		return "a packet was " + string(got) + ", not " + string(s.want)
	}
	if s.counts != "" && counters(t, r.bed)[s.counts] != before[s.counts]+1 {
		return "it was not counted as " + s.counts
	}
	want := frameOf(t, in, s.change)
	if got == send {
		want = frameOf(t, translated(in, s.out), s.change)
	}
	// The tc door leaves the addresses of the frame to the neighbour table
	// now and then.
	if !bytes.Equal(out[14:], want[14:]) {
		return "it came out other than it should\n got: " + hexOf(out) + "\nwant: " + hexOf(want)
	}
	return ""
}

// refused says in what a refusal came out otherwise: tc answers with an ICMP
// error, XDP leaves it to tc.
func (r *runner) refused(t *testing.T, s step, got verdict, out []byte, before map[string]uint64) string {
	counts, want := s.counts, send
	if r.door.mode == ipvs.AttachXDP {
		counts, want = "slow_path", leave
	}
	const protocol, icmp = 14 + 9, 1
	switch {
	case got != want:
		return "a packet was " + string(got) + ", not refused"
	case want == send && out[protocol] != icmp:
		return "it was not answered with an ICMP error: " + hexOf(out)
	case counters(t, r.bed)[counts] != before[counts]+1:
		return "it was not counted as " + counts
	}
	return ""
}

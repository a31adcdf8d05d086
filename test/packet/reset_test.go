package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// segment is what a TCP segment on the cable says.
type segment struct {
	src, dst netip.AddrPort
	flags    byte
	seq, ack uint32
	payload  int
}

const flagFIN, flagSYN, flagRST, flagACK = 0x01, 0x02, 0x04, 0x10

// segmentOf reads a packet of TCP without extension headers, which has to be as long
// as it says, with right checksums.
func segmentOf(t *testing.T, ip []byte) segment {
	t.Helper()
	_, l4, _ := transportOf(ip)
	length := int(binary.BigEndian.Uint16(ip[2:]))
	if l4 == 40 {
		length = 40 + int(binary.BigEndian.Uint16(ip[4:]))
	} else if s := sum(ip[:20]); s != 0 {
		t.Errorf("the IP checksum is off by %04x: %s", s, hexOf(ip))
	}
	if length > len(ip) {
		t.Fatalf("%d bytes, which says it has %d: %s", len(ip), length, hexOf(ip))
	}
	ip = ip[:length] // a short frame may be padded
	if s := sum(append(pseudoOf(ip), ip[l4:]...)); s != 0 {
		t.Errorf("the TCP checksum is off by %04x: %s", s, hexOf(ip))
	}
	src, dst := addrAt(ip[12:16]), addrAt(ip[16:20])
	if l4 == 40 {
		src, dst = addrAt(ip[8:24]), addrAt(ip[24:40])
	}
	tcp := ip[l4:]
	return segment{
		src:   netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp)),
		dst:   netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:])),
		flags: tcp[13], seq: binary.BigEndian.Uint32(tcp[4:]), ack: binary.BigEndian.Uint32(tcp[8:]),
		payload: len(tcp) - 4*int(tcp[12]>>4),
	}
}

// frame is the segment on the cable, with options if it has so many bytes of them.
func (s segment) frame(t *testing.T, options int) []byte {
	t.Helper()
	p := bed.Packet{Proto: "tcp", Src: s.src.Addr(), Sport: s.src.Port(), Dst: s.dst.Addr(), Dport: s.dst.Port(), Payload: counted(s.payload + options)}
	if netip.MustParsePrefix("203.0.113.0/24").Contains(s.src.Addr()) || netip.MustParsePrefix("2001:db8:3::/64").Contains(s.src.Addr()) {
		p.From = "server"
	}
	return frameOf(t, p, func(f []byte) []byte {
		_, l4, _ := transportOf(f[14:])
		tcp := f[14+l4:]
		binary.BigEndian.PutUint32(tcp[4:], s.seq)
		binary.BigEndian.PutUint32(tcp[8:], s.ack)
		tcp[12], tcp[13] = byte(5+options/4)<<4, s.flags
		for i := range options {
			tcp[20+i] = 1 // padding
		}
		return bed.Checksummed(f)
	})
}

// methods are ways to a server, and what lies before a packet that goes there.
var methods = []struct {
	name, options string
	outer         int // bytes of headers before the packet
}{{"masq", "-m", 0}, {"route", "-g", 0}, {"tunnel", "-i", 20}}

// reset is a bed with a connection that is to be reset.
type reset struct {
	*runner
	client, vip, server netip.AddrPort
}

// resetting opens a connection from a client to the server of a service, and has it
// reset if how says so.
func resetting(t *testing.T, d door, family int, options string, how datapath.Ending) *reset {
	t.Helper()
	e := ends[family] // 4 in 4, 6 in 6
	port := func(a string, p uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), p) }
	r := &reset{runner: serving(t, d, beds.Lend(t, d.mode), e.vip, e.server, options), client: port(e.client, 4000), vip: port(e.vip, 80), server: port(e.server, 80)}
	r.open(t)
	if how != datapath.EndSilently {
		r.end(t, how, 1)
	}
	return r
}

func (r *reset) open(t *testing.T) {
	t.Helper()
	for _, flags := range []byte{flagSYN, flagACK} {
		if v, _, err := r.run(r.fromClient(flags, 1, 1, 0).frame(t, 0), false); err != nil || v != send {
			t.Fatalf("a segment with flags %x was %s (%v)", flags, v, err)
		}
	}
}

// end has every connection end, which has to be so many.
func (r *reset) end(t *testing.T, how datapath.Ending, want int) {
	t.Helper()
	if n := endings(t, how, func(datapath.ConnRecord) bool { return true }); n != want {
		t.Fatalf("%d connections ended, want %d", n, want)
	}
}

// endings ends the connections that want says, asks nobody, and returns how many they
// were.
func endings(t *testing.T, how datapath.Ending, want func(datapath.ConnRecord) bool) (n int) {
	t.Helper()
	var e datapath.Editor
	defer e.Close()
	err := e.EditExisting(context.Background(), func(table *datapath.Table) error {
		conns, _, resets, err := table.EndConns(want, how)
		n = conns + len(resets)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (r *reset) fromClient(flags byte, seq, ack uint32, payload int) segment {
	return segment{r.client, r.vip, flags, seq, ack, payload}
}

// next is the segment that came out by a port, behind so many bytes of headers.
func next(t *testing.T, r *reset, p *bed.Port, outer int) segment {
	t.Helper()
	frame, err := p.Receive(patience)
	if err != nil || frame == nil {
		t.Fatalf("nothing came out (%v); counted: %v", err, counters(t, r.bed))
	}
	return segmentOf(t, frame[14+outer:])
}

// silent wants nothing to come out by either port.
func silent(t *testing.T, r *reset) {
	t.Helper()
	for _, p := range []*bed.Port{r.bed.Client, r.bed.Server} {
		if frame, err := p.Receive(5 * quiet); frame != nil || err != nil {
			t.Errorf("there came out %s (%v)", hexOf(frame), err)
		}
	}
}

// eachWay runs a test for doors, both families and each method.
func eachWay(t *testing.T, doors []door, test func(t *testing.T, d door, family int, options string, outer int)) {
	for _, d := range doors {
		for family, name := range []string{"ipv4", "ipv6"} {
			for _, m := range methods {
				t.Run(fmt.Sprintf("%s, %s, %s", d.mode, name, m.name), func(t *testing.T) {
					t.Parallel()
					test(t, d, family, m.options, m.outer*(1+family))
				})
			}
		}
	}
}

// RFC 9293, section 3.10.7.1, but that a SYN opens the port anew.
func TestASegmentOfAConnectionThatIsResetIsAnsweredWithTheNumberItExpects(t *testing.T) {
	eachWay(t, doors, func(t *testing.T, d door, family int, options string, _ int) {
		r := resetting(t, d, family, options, datapath.ResetClient)
		for _, c := range []struct {
			flags            byte
			seq, ack         uint32
			options, payload int
			want             segment
		}{
			{flags: flagACK, seq: 5, ack: 7, want: segment{flags: flagRST, seq: 7}},
			{flags: flagACK, seq: 0xfffffff0, ack: 0xffffffff, options: 12, payload: 31, want: segment{flags: flagRST, seq: 0xffffffff}},
			{flags: flagACK | flagFIN, seq: 5, ack: 0x12345678, options: 40, want: segment{flags: flagRST, seq: 0x12345678}},
			{flags: flagFIN, seq: 0xfffffffe, ack: 9, payload: 5, options: 4, want: segment{flags: flagRST | flagACK, ack: 4}},
			{flags: 0, seq: 1000, payload: 1000, want: segment{flags: flagRST | flagACK, ack: 2000}},
		} {
			in := r.fromClient(c.flags, c.seq, c.ack, c.payload).frame(t, c.options)
			for range 2 { // also the next one
				v, out, err := r.run(in, false)
				if err != nil {
					t.Fatal(err)
				}
				if d.mode == ipvs.AttachXDP {
					if v != leave || !slices.Equal(out, in) {
						t.Fatalf("XDP did not leave the packet as it was: %s, %s", v, hexOf(out))
					}
					continue
				}
				c.want.src, c.want.dst = r.vip, r.client
				if got := segmentOf(t, out[14:]); v != send || got != c.want || len(out) != 14+20*(1+family)+20 {
					t.Fatalf("%+v\nwas %s as %d bytes, %+v\nwant %+v", c, v, len(out), got, c.want)
				}
				if hops := out[14+8-family]; hops != 64 {
					t.Errorf("the reset has %d hops", hops)
				}
			}
		}
		reason := map[ipvs.AttachMode]string{ipvs.AttachTC: "reset", ipvs.AttachXDP: "slow_path"}[d.mode]
		if n := counters(t, r.bed)[reason]; n != 10 {
			t.Errorf("%s: %d, want 10", reason, n)
		}
	})
}

func TestAResetMadeOfADamagedSegmentIsAsDamaged(t *testing.T) {
	for family := range 2 {
		t.Run(ends[family].name, func(t *testing.T) {
			r := resetting(t, doors[0], family, "-m", datapath.ResetClient)
			for _, at := range []int{4, 9, 16, 17, 25, 40} { // of the segment: header, checksum, options, payload
				in := r.fromClient(flagACK, 5, 7, 100).frame(t, 8)
				_, l4, _ := transportOf(in[14:])
				in[14+l4+at] ^= 0x55
				wrong := sum(append(pseudoOf(in[14:]), in[14+l4:]...))
				_, out, err := r.run(in, false)
				if err != nil {
					t.Fatal(err)
				}
				if got := sum(append(pseudoOf(out[14:]), out[14+l4:]...)); got != wrong {
					t.Errorf("byte %d: the checksum was off by %04x, and is by %04x", at, wrong, got)
				}
			}
		})
	}
}

// bothTold wants what becomes of a segment of number 100 that acknowledges 200.
func bothTold(t *testing.T, r *reset, options string, outer int) {
	t.Helper()
	want := segment{src: r.client, dst: r.vip, flags: flagRST | flagACK, seq: 100, ack: 200}
	if options == "-m" {
		want.dst = r.server
	}
	if got := next(t, r, r.bed.Server, outer); got != want {
		t.Errorf("the server got %+v\nwant %+v", got, want)
	}
	if got, want := next(t, r, r.bed.Client, 0), (segment{src: r.vip, dst: r.client, flags: flagRST, seq: 200}); got != want {
		t.Errorf("the client got %+v\nwant %+v", got, want)
	}
}

func TestTheServerIsToldByTheNumberThatItExpects(t *testing.T) {
	eachWay(t, doors, func(t *testing.T, d door, family int, options string, outer int) {
		r := resetting(t, d, family, options, datapath.ResetBoth)
		for _, payload := range []int{0, 33, 1000} {
			if err := r.bed.Client.Send(r.fromClient(flagACK, 100, 200, payload).frame(t, 12)); err != nil {
				t.Fatal(err)
			}
			bothTold(t, r, options, outer)
		}
		silent(t, r)
	})
}

func TestAMasqueradedServersSegmentTellsTheClient(t *testing.T) {
	for _, d := range doors {
		for family := range 2 {
			for _, how := range []datapath.Ending{datapath.ResetClient, datapath.ResetBoth} {
				t.Run(fmt.Sprintf("%s, %s, %d", d.mode, ends[family].name, how), func(t *testing.T) {
					t.Parallel()
					r := resetting(t, d, family, "-m", how)
					if err := r.bed.Server.Send(segment{r.server, r.client, flagACK, 300, 400, 50}.frame(t, 12)); err != nil {
						t.Fatal(err)
					}
					if got, want := next(t, r, r.bed.Client, 0), (segment{src: r.vip, dst: r.client, flags: flagRST | flagACK, seq: 300, ack: 400}); got != want {
						t.Errorf("the client got %+v\nwant %+v", got, want)
					}
					if how == datapath.ResetBoth {
						if got, want := next(t, r, r.bed.Server, 0), (segment{src: r.client, dst: r.server, flags: flagRST, seq: 400}); got != want {
							t.Errorf("the server got %+v\nwant %+v", got, want)
						}
					}
					silent(t, r)
				})
			}
		}
	}
}

func TestWhatStandsForSeveralSegmentsBecomesOneReset(t *testing.T) {
	eachWay(t, doors[:1], func(t *testing.T, d door, family int, options string, outer int) {
		r := resetting(t, d, family, options, datapath.ResetBoth)
		for _, payload := range []int{20_000, 20_001, 60_000} {
			if err := r.bed.Client.SendSuper(r.fromClient(flagACK, 100, 200, payload).frame(t, 12), 1000); err != nil {
				t.Fatal(err)
			}
			bothTold(t, r, options, outer)
		}
		silent(t, r)
	})
}

func TestWhatIsNoSegmentToAnswerIsDropped(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			r := resetting(t, d, 0, "-m", datapath.ResetClient)
			rst := r.fromClient(flagRST, 5, 0, 0).frame(t, 0)
			piece := r.fromClient(flagACK, 5, 7, 64).frame(t, 0)
			piece[14+6] = 0x20 // more follow
			short := r.fromClient(flagACK, 5, 7, 0).frame(t, 0)
			short[14+20+12] = 15 << 4 // options that are not there
			for _, in := range [][]byte{rst, bed.Checksummed(piece), bed.Checksummed(short)} {
				if err := r.bed.Client.Send(in); err != nil {
					t.Fatal(err)
				}
				silent(t, r)
			}
			if n := counters(t, r.bed)["reset"]; n != 3 {
				t.Errorf("reset: %d, want 3; %v", n, counters(t, r.bed))
			}
		})
	}
}

func TestAClientThatOpensItsPortAnewIsGivenAServer(t *testing.T) {
	for _, d := range doors {
		for _, persistent := range []string{"", " -p 300"} {
			t.Run(string(d.mode)+persistent, func(t *testing.T) {
				t.Parallel()
				r := resetting(t, d, 0, "-m", datapath.EndSilently)
				command(t, r.bed, "-E -t 198.51.100.129:80 -s rr"+persistent)
				r.client = netip.AddrPortFrom(r.client.Addr(), 4001)
				r.open(t)
				r.end(t, datapath.ResetClient, 2)
				syn := r.fromClient(flagSYN, 5, 0, 0).frame(t, 0)
				if err := r.bed.Table().SetSysctl("conn_reuse_mode", "0"); err != nil {
					t.Fatal(err)
				}
				if err := r.bed.Client.Send(syn); err != nil {
					t.Fatal(err)
				}
				if got, want := next(t, r, r.bed.Client, 0), (segment{src: r.vip, dst: r.client, flags: flagRST | flagACK, ack: 6}); got != want {
					t.Errorf("with conn_reuse_mode 0: %+v\nwant %+v", got, want)
				}
				if err := r.bed.Table().SetSysctl("conn_reuse_mode", "1"); err != nil {
					t.Fatal(err)
				}
				if err := r.bed.Client.Send(syn); err != nil {
					t.Fatal(err)
				}
				if got := next(t, r, r.bed.Server, 0); got.flags != flagSYN || got.dst != r.server {
					t.Errorf("the server got %+v, want the SYN", got)
				}
				silent(t, r)
				if persistent == "" { // a template is counted apart
					settle(t, r.bed.Table(), 2)
				}
			})
		}
	}
}

// Also to a server that is not in the table any more, and whatever else is sent.
func TestAConnectionThatIsResetStepsNoMoreAndIsCountedRight(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			r := resetting(t, d, 0, "-m", datapath.ResetBoth)
			r.end(t, datapath.ResetBoth, 0) // already
			settle(t, r.bed.Table(), 1)
			command(t, r.bed, "-d -t 198.51.100.129:80 -r 203.0.113.1:80")
			for _, flags := range []byte{flagRST | flagACK, flagACK, flagFIN | flagACK} {
				if err := r.bed.Client.Send(r.fromClient(flags, 100, 200, 0).frame(t, 0)); err != nil {
					t.Fatal(err)
				}
				if got := next(t, r, r.bed.Server, 0); got.flags&flagRST == 0 || got.seq != 100 {
					t.Errorf("flags %x: the server got %+v", flags, got)
				}
			}
			for c, err := range r.bed.Table().Conns() {
				if err != nil || c.State != "CLOSE" || c.Expires.Seconds() > 1 {
					t.Errorf("%+v (%v)", c, err)
				}
			}
			settle(t, r.bed.Table(), 0)
		})
	}
}

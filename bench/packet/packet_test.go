package packet

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func TestEveryFlowHasAClientOfItsOwn(t *testing.T) {
	seen := make(map[netip.AddrPort]int)
	network := netip.MustParsePrefix("198.51.100.0/24")
	for f := range 1_000_000 {
		c := Client(f)
		if before, ok := seen[c]; ok {
			t.Fatalf("flows %d and %d are both %s", before, f, c)
		}
		if !network.Contains(c.Addr()) || c.Port() < firstPort {
			t.Fatalf("flow %d is %s, outside %s or below port %d", f, c, network, firstPort)
		}
		seen[c] = f
	}
}

func TestTheLastFlowIsTheLastPortOfTheLastHost(t *testing.T) {
	if got, want := Client(MaxFlows-1), netip.MustParseAddrPort("198.51.100.250:65535"); got != want {
		t.Errorf("Client(%d) = %s, want %s", MaxFlows-1, got, want)
	}
}

func TestAFrameIsWhatTheSenderWouldSend(t *testing.T) {
	s := Documentation
	for _, k := range []Kind{SYN, SYNACK, ACK, ReplyACK} {
		t.Run(k.Name, func(t *testing.T) {
			frame := s.Frame(k, 12345)
			sent := Delivery{From: Client(12345), To: s.VIP, Source: s.Gateway, Target: s.Director, TTL: []byte{TTL}}
			if k.Reply {
				sent.From, sent.To, sent.Source = s.Server, Client(12345), s.RealMAC
			}
			if err := sent.Check(frame); err != nil {
				t.Error(err)
			}
			if frame[offFlags] != k.Flags {
				t.Errorf("flags %#02x, want %#02x", frame[offFlags], k.Flags)
			}
		})
	}
}

// The harness fills in the client and completes the sums in the same way.
func TestABlankFilledInIsTheFrame(t *testing.T) {
	for _, k := range []Kind{SYN, SYNACK} {
		t.Run(k.Name, func(t *testing.T) {
			b := Documentation.Blank(k)
			client := Client(777)
			at, port := offSource, offTCP
			if b.Reply {
				at, port = offDest, offTCP+2
			}
			put(b.Bytes[:], at, client.Addr())
			binary.BigEndian.PutUint16(b.Bytes[port:], client.Port())
			host := client.Addr().As4()
			sum := add(0, host[:])
			binary.BigEndian.PutUint16(b.Bytes[offIPSum:], ^fold(uint32(b.IPSum)+sum))
			binary.BigEndian.PutUint16(b.Bytes[offTCPSum:], ^fold(uint32(b.TCPSum)+sum+uint32(client.Port())))
			if want := Documentation.Frame(k, 777); string(b.Bytes[:]) != string(want) {
				t.Errorf("got  %x\nwant %x", b.Bytes, want)
			}
		})
	}
}

func TestChecksumsAreThoseOfAKnownPacket(t *testing.T) {
	// 4500 0028 0000 4000 4006 + 198.51.100.1 + 203.0.113.10, added by hand.
	frame := Documentation.Frame(ACK, 0)
	words := []uint32{0x4500, 0x0028, 0x0000, 0x4000, 0x4006, 0xc633, 0x6401, 0xcb00, 0x710a}
	var sum uint32
	for _, w := range words {
		sum += w
	}
	sum = sum&0xffff + sum>>16
	if got, want := binary.BigEndian.Uint16(frame[offIPSum:]), ^uint16(sum); got != want {
		t.Errorf("IP checksum %#04x, want %#04x", got, want)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	s := Documentation
	good := s.Frame(ACK, 5)
	sent := Delivery{From: Client(5), To: s.VIP, Source: s.Gateway, Target: s.Director, TTL: []byte{TTL}}
	tests := []struct {
		name  string
		spoil func([]byte) []byte
		want  string
	}{
		{"a frame cut short", func(b []byte) []byte { return b[:Len-1] }, "59 bytes"},
		{"another destination MAC", func(b []byte) []byte { b[5] ^= 1; return b }, "destination MAC"},
		{"another source MAC", func(b []byte) []byte { b[11] ^= 1; return b }, "source MAC"},
		{"another source address", func(b []byte) []byte { b[offSource+3] ^= 1; return b }, "source 198.51.100"},
		{"another source port", func(b []byte) []byte { b[offTCP+1] ^= 1; return b }, "source 198.51.100"},
		{"another destination address", func(b []byte) []byte { b[offDest+3] ^= 1; return b }, "destination 203.0.113"},
		{"another destination port", func(b []byte) []byte { b[offTCP+3] ^= 1; return b }, "destination 203.0.113"},
		{"another TTL", func(b []byte) []byte { b[offTTL]--; return b }, "TTL 63"},
		{"a bad IP checksum", func(b []byte) []byte { b[offIPSum] ^= 1; return b }, "IP checksum"},
		{"a bad TCP checksum", func(b []byte) []byte { b[offTCPSum] ^= 1; return b }, "TCP checksum"},
	}
	if err := sent.Check(good); err != nil {
		t.Fatalf("the frame unspoilt: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := sent.Check(tt.spoil(append([]byte(nil), good...)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestNATRewritesAndDirectRoutingDoesNot(t *testing.T) {
	s := Documentation
	nat := s.Expect(Masq, ACK, 1)
	if nat.To != s.Server || nat.Target != s.RealMAC {
		t.Errorf("NAT forward: to %s by %x, want %s by %x", nat.To, nat.Target, s.Server, s.RealMAC)
	}
	back := s.Expect(Masq, ReplyACK, 1)
	if back.From != s.VIP || back.To != Client(1) || back.Target != s.Gateway {
		t.Errorf("NAT reply: %s to %s by %x, want %s to %s by %x", back.From, back.To, back.Target, s.VIP, Client(1), s.Gateway)
	}
	dr := s.Expect(Route, ACK, 1)
	if dr.To != s.VIP || dr.Target != s.RealMAC {
		t.Errorf("direct routing: to %s by %x, want %s by %x", dr.To, dr.Target, s.VIP, s.RealMAC)
	}
}

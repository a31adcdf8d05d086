package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Delivery is what must have become of a frame.
type Delivery struct {
	From, To       netip.AddrPort
	Source, Target MAC
	TTL            []byte // any of these
}

// Expect says what a balancer must make of the frame of a kind for flow f.
func (s Scene) Expect(m Method, k Kind, f int) Delivery {
	d := Delivery{From: Client(f), To: s.Server, Source: s.Director, Target: s.RealMAC, TTL: []byte{TTL - 1}}
	if m == Route {
		// A bridge-like balancer leaves the TTL alone, a router does not:
		// both are direct routing.
		d.To, d.TTL = s.VIP, []byte{TTL, TTL - 1}
	}
	if k.Reply {
		d.From, d.To, d.Target = s.VIP, Client(f), s.Gateway
	}
	return d
}

// Check says how frame differs from the delivery, or nil.
func (d Delivery) Check(frame []byte) error {
	if len(frame) != Len {
		return fmt.Errorf("frame of %d bytes, want %d", len(frame), Len)
	}
	if target := MAC(frame[0:6]); target != d.Target {
		return fmt.Errorf("destination MAC %x, want %x", target, d.Target)
	}
	if source := MAC(frame[6:12]); source != d.Source {
		return fmt.Errorf("source MAC %x, want %x", source, d.Source)
	}
	if from := addrPort(frame, offSource, offTCP); from != d.From {
		return fmt.Errorf("source %s, want %s", from, d.From)
	}
	if to := addrPort(frame, offDest, offTCP+2); to != d.To {
		return fmt.Errorf("destination %s, want %s", to, d.To)
	}
	if !slices.Contains(d.TTL, frame[offTTL]) {
		return fmt.Errorf("TTL %d, want %d", frame[offTTL], d.TTL[0])
	}
	// A sum that covers its own checksum comes to all ones.
	if fold(ipSum(frame)) != 0xffff {
		return fmt.Errorf("IP checksum %#04x is wrong", binary.BigEndian.Uint16(frame[offIPSum:]))
	}
	if fold(tcpSum(frame)) != 0xffff {
		return fmt.Errorf("TCP checksum %#04x is wrong", binary.BigEndian.Uint16(frame[offTCPSum:]))
	}
	return nil
}

func addrPort(frame []byte, addr, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(frame[addr:addr+4])), binary.BigEndian.Uint16(frame[port:]))
}

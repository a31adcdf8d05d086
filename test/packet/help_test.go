package packet

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// withClient fills in the client's address.
func withClient(p bed.Packet, client netip.Addr) bed.Packet {
	if p.FromServer() {
		p.Dst = client
	} else {
		p.Src = client
	}
	return p
}

// translated is a packet as it is sent on: a hop older, and with what out has.
func translated(p, out bed.Packet) bed.Packet {
	if p.TTL == 0 {
		p.TTL = 64
	}
	p.TTL--
	if out.Src.IsValid() {
		p.Src, p.Sport = out.Src, out.Sport
	}
	if out.Dst.IsValid() {
		p.Dst, p.Dport = out.Dst, out.Dport
	}
	return p
}

// frameOf is the frame of a packet, changed.
func frameOf(t *testing.T, p bed.Packet, change func([]byte) []byte) []byte {
	t.Helper()
	f, err := p.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		f = change(f)
	}
	return f
}

// counters are the reasons counted so far.
func counters(t *testing.T, b *bed.Bed) map[string]uint64 {
	t.Helper()
	s, err := b.Table().Status()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint64{}
	for _, c := range s.Counters {
		all[c.Name] = c.Count
	}
	return all
}

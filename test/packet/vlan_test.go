package packet

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// tagged puts VLAN tags before what the frame holds, the outermost first.
func tagged(frame []byte, tags ...uint16) []byte {
	header := slices.Clone(frame[:12])
	for i, tag := range tags {
		kind := byte(0x81) // 802.1Q; the outer of two is 802.1ad
		low := byte(0x00)
		if i == 0 && len(tags) > 1 {
			kind, low = 0x88, 0xa8
		}
		header = append(header, kind, low, byte(tag>>8), byte(tag))
	}
	return append(header, frame[12:]...)
}

// A frame of a VLAN is for the interface of that VLAN, where there is one, and for
// nobody where there is none: not for the interface it came in by.
func TestFramesOfAVLANAreLeftToItsInterface(t *testing.T) {
	for _, c := range []struct {
		name string
		tags []uint16
		sent bool
	}{
		{"one tag", []uint16{5}, false},
		{"two tags", []uint16{5, 6}, false},
		{"a tag of urgency alone", []uint16{7 << 13}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, d := range doors {
				t.Run(string(d.mode), func(t *testing.T) {
					b := beds.Lend(t, d.mode)
					command(t, b, "-A -u 198.51.100.129:80 -s rr")
					command(t, b, "-a -u 198.51.100.129:80 -r 203.0.113.1:8080 -m")
					p := bed.Packet{Proto: "udp", Src: netip.MustParseAddr("192.0.2.1"), Sport: 3000, Dst: netip.MustParseAddr("198.51.100.129"), Dport: 80}
					frame := frameOf(t, p, func(f []byte) []byte { return tagged(f, c.tags...) })
					v, out, err := newRunner(t, d, b).run(frame, false)
					if err != nil || v != leave || string(out) != string(frame) {
						t.Errorf("inline: %s, changed %v, %v", v, string(out) != string(frame), err)
					}
					if err := b.Client.Send(frame); err != nil {
						t.Fatal(err)
					}
					wait := quiet
					if c.sent {
						wait = patience
					}
					got, err := b.Server.Receive(wait)
					if err != nil || (got != nil) != c.sent {
						t.Fatalf("by the wire: %d bytes came out, %v", len(got), err)
					}
					if c.sent && (got[12] != 0x08 || got[13] != 0) {
						t.Errorf("it still has a tag: % x", got[:18])
					}
				})
			}
		})
	}
}

package packet

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// A veth carries packets that stand for several, which are cut to size where
// they leave for a wire.
func TestWhatStandsForSeveralPacketsLeavesATunnelAsThemAll(t *testing.T) {
	for _, tun := range tunnels {
		for _, end := range ends {
			t.Run(tun.name+", "+end.name, func(t *testing.T) {
				t.Parallel()
				r := through(t, doors[0], end.vip, end.server, tun.options)
				if err := r.bed.Apart(); err != nil {
					t.Fatal(err)
				}
				for _, proto := range []string{"tcp", "udp"} {
					in := bed.Packet{
						Proto: proto, Src: netip.MustParseAddr(end.client), Sport: 4000, Dst: netip.MustParseAddr(end.vip), Dport: 80, Flags: "S",
					}
					sendOn(t, r.bed, frameOf(t, in, nil), 0)
					receive(t, r.bed, tun.between)
					in.Flags = "A"
					for round := range 3 {
						in.Payload = counted(20_000 + round)
						sendOn(t, r.bed, frameOf(t, in, nil), 1000)
						checkCut(t, r.bed, in.Payload, tun.between, tun.check >= 0)
					}
				}
				for name, n := range counters(t, r.bed) {
					if name != "new_connection" && n != 0 {
						t.Errorf("%s: %d", name, n)
					}
				}
			})
		}
	}
}

// counted is a payload whose parts differ.
func counted(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 5)
	}
	return b
}

func sendOn(t *testing.T, b *bed.Bed, frame []byte, size int) {
	t.Helper()
	if size == 0 {
		if err := b.Client.Send(frame); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := b.Client.SendSuper(frame, size); err != nil {
		t.Fatal(err)
	}
}

// receive is the next packet that left for the server.
func receive(t *testing.T, b *bed.Bed, between int) wrapped {
	t.Helper()
	frame, err := b.Server.Receive(patience)
	if err != nil || frame == nil {
		t.Fatalf("nothing left for the server (%v); counted: %v", err, counters(t, b))
	}
	if len(frame) > 1514 {
		t.Fatalf("a frame of %d bytes left for the server", len(frame))
	}
	return takenApart(append([]byte{}, frame...), between)
}

// checkCut receives until all of a payload is there, in whole packets, each with
// right checksums.
func checkCut(t *testing.T, b *bed.Bed, payload []byte, between int, checked bool) {
	t.Helper()
	var got []byte
	for n := 0; len(got) < len(payload); n++ {
		w := receive(t, b, between)
		proto, _, check := transportOf(w.inner)
		if off := w.off(); checked && off != 0 {
			t.Fatalf("packet %d: the tunnel's checksum is off by %04x", n, off)
		}
		checkWhole(t, w.inner, check)
		headLeft := 4 // from the checksum of TCP on, and of UDP
		if proto == 17 {
			headLeft = 2
		}
		got = append(got, w.inner[check+headLeft:]...)
	}
	if !bytes.Equal(got, payload) {
		t.Fatal("the payload is not what was sent")
	}
}

func TestWhatStandsForSeveralPacketsIsDroppedWhereNothingCutsIt(t *testing.T) {
	r := through(t, doors[0], ends[0].vip, ends[0].server, "-i --tun-type gre --tun-csum")
	if err := r.bed.Apart(); err != nil {
		t.Fatal(err)
	}
	in := bed.Packet{Proto: "tcp", Src: netip.MustParseAddr(ends[0].client), Sport: 4000, Dst: vip, Dport: 80, Flags: "S"}
	sendOn(t, r.bed, frameOf(t, in, nil), 0)
	receive(t, r.bed, 8)
	if err := r.bed.IP("link", "delete", "evs-cut0"); err != nil {
		t.Fatal(err)
	}
	in.Flags, in.Payload = "A", make([]byte, 5000)
	sendOn(t, r.bed, frameOf(t, in, nil), 1000)
	if frame, err := r.bed.Server.Receive(20 * quiet); frame != nil || err != nil {
		t.Fatalf("a packet left for the server: %x (%v)", frame, err)
	}
	// The next edit of such a destination makes the pair again.
	command(t, r.bed, "-e -t 198.51.100.129:80 -r 203.0.113.1:80 -w 2 -i --tun-type gre --tun-csum")
	sendOn(t, r.bed, frameOf(t, in, nil), 1000)
	checkCut(t, r.bed, in.Payload, 8, true)
	if _, err := r.bed.Table().Unload(); err != nil {
		t.Fatal(err)
	}
	if err := r.bed.IP("link", "show", "evs-cut0"); err == nil {
		t.Error("evs-cut0 is still there after unload")
	}
}

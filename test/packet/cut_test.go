package packet

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
)

// unmarked is a frame of IPv4 whose packet may be cut.
func unmarked(frame []byte) []byte {
	return setFragmentWord(frame, 0)
}

func setFragmentWord(frame []byte, word uint16) []byte {
	ip := frame[ethLen:]
	binary.BigEndian.PutUint16(ip[4:], 4711)
	binary.BigEndian.PutUint16(ip[6:], word)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], 0xffff-sum(ip[:20]))
	return frame
}

// narrowWays are methods of a server over IPv4, with its port, by which a packet of 1,500
// bytes does not fit through d1 when that takes 1,400.
var narrowWays = []struct{ name, options string }{
	{"masquerading", "203.0.113.1:8080 -m"},
	{"direct routing", "203.0.113.1 -g"},
	{"ipip", "203.0.113.1 -i"},
	{"ipip over IPv6", "[2001:db8:3::1]:80 -i"},
	{"gre", "203.0.113.1 -i --tun-type gre --tun-csum"},
	{"gue", "203.0.113.1 -i --tun-type gue --tun-port 6080"},
}

func (f *fragmenter) ip(args string) {
	f.Helper()
	if err := f.bed.IP(words(args)...); err != nil {
		f.Fatal(err)
	}
}

func TestACutPacketArrivesWholeWhetherOrNotTheNeighbourIsResolved(t *testing.T) {
	for _, d := range doors {
		for _, way := range narrowWays {
			t.Run(string(d.mode)+" "+way.name, func(t *testing.T) {
				f := fragmenter{T: t, bed: beds.Lend(t, d.mode)}
				f.service(f.vip(0), way.options)
				f.ip("link set d1 mtu 1400")
				frame := unmarked(datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 1472))
				got := f.send("client", [][]byte{frame}, 1)
				if len(got) != 1 || isDatagram(got[0].packet, frame) != nil {
					t.Fatalf("the server holds %v", got)
				}
				f.ip("neigh del 203.0.113.1 dev d1")
				f.ip("neigh del 2001:db8:3::1 dev d1")
				if err := f.bed.Advance(2 * time.Second); err != nil { // what it was is forgotten
					t.Fatal(err)
				}
				f.put(unmarked(datagram(t, "client", vips[0].client, vips[0].vip, 40001, 80, 20)))
				f.put(frame)
				if got := f.receive("server", 0); len(got) != 0 {
					t.Fatalf("without a neighbour to send to, the server holds %v", got)
				}
				f.ip("neigh replace 203.0.113.1 lladdr 02:00:00:00:02:01 dev d1")
				f.ip("neigh replace 2001:db8:3::1 lladdr 02:00:00:00:02:01 dev d1")
				if got := f.receive("server", 2); len(got) != 2 || isDatagram(got[1].packet, frame) != nil {
					t.Fatalf("when the neighbour is known, the server holds %v", got)
				}
			})
		}
	}
}

func TestAReplyThatIsTooBigForTheClientsSideIsCut(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].serverPort+" -m")
	f.send("client", [][]byte{datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 20)}, 1)
	f.ip("link set d0 mtu 1000")
	frame := unmarked(datagram(t, "server", vips[0].server, vips[0].client, 8080, 40000, 1472))
	got := f.send("server", [][]byte{frame}, 1)
	if len(got) != 1 || isDatagram(got[0].packet, frame) != nil {
		t.Fatalf("the client holds %v", got)
	}
}

func TestAFragmentThatIsTooBigIsCutAgain(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].serverPort+" -m")
	f.ip("link set d1 mtu 600")
	frame := datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 3900)
	got := f.send("client", cutUp(frame, 7, 1400), 1)
	if len(got) != 1 || isDatagram(got[0].packet, frame) != nil {
		t.Fatalf("the server holds %v", got)
	}
}

func TestOptionsThatAreNotToBeCopiedStayWithTheFirstPiece(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].server+" -g")
	f.ip("link set d1 mtu 1000")
	plain := unmarked(datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 1400))
	// router alert, which is copied, and record route without room, which is not
	options := []byte{148, 4, 0, 0, 7, 7, 8, 1, 2, 3, 4, 0}
	frame := append(append(append([]byte{}, plain[:ethLen+20]...), options...), plain[ethLen+20:]...)
	frame[ethLen] = 0x48
	binary.BigEndian.PutUint16(frame[ethLen+2:], uint16(len(frame)-ethLen))
	ip := frame[ethLen:]
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], 0xffff-sum(ip[:32]))
	f.put(frame)
	for i, want := range []string{"940400000707080102030400", "940400000101010101010100"} {
		got, err := f.bed.Side("server").Receive(patience)
		if err != nil || got == nil {
			t.Fatalf("piece %d did not come: %v", i, err)
		}
		if _, err := exact(got[ethLen:]); err != nil {
			t.Errorf("piece %d: %v", i, err)
		}
		if options := hexOf(got[ethLen+20 : ethLen+32]); options != want {
			t.Errorf("piece %d has the options %s, want %s", i, options, want)
		}
	}
}

func TestWithoutPathMTUDiscoveryTunnelsCutWhatMustNotBeCut(t *testing.T) {
	for _, way := range narrowWays[2:] {
		t.Run(way.name, func(t *testing.T) {
			f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
			f.service(f.vip(0), way.options)
			const df = 0x4000
			frame := setFragmentWord(datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 1472), df)
			if got := f.send("client", [][]byte{frame}, 0); len(got) != 0 {
				t.Fatalf("with pmtu_disc 1 the server holds %v", got)
			}
			if refusal, err := f.bed.Side("client").Receive(patience); err != nil || refusal == nil || refusal[ethLen+9] != 1 {
				t.Fatalf("with pmtu_disc 1 the client is told %x (%v)", refusal, err)
			}
			if err := f.bed.Sysctl("net.ipv4.vs.pmtu_disc=0"); err != nil {
				t.Fatal(err)
			}
			got := f.send("client", [][]byte{frame}, 1)
			if len(got) != 1 || isDatagram(got[0].packet, frame) != nil || got[0].packet[6] != df>>8 {
				t.Fatalf("with pmtu_disc 0 the server holds %v", got)
			}
		})
	}
}

// refusal6 is the source of the ICMPv6 error that a packet to a service without a
// server gets.
func (f *fragmenter) refusal6() netip.Addr {
	f.Helper()
	f.put(datagram(f.T, "client", vips[1].client, vips[1].vip, 40000, 80, 20))
	frame, err := f.bed.Side("client").Receive(patience)
	if err != nil || frame == nil {
		f.Fatalf("no refusal: %v", err)
	}
	return addrAt(frame[ethLen+8 : ethLen+24])
}

// look has interfaces and addresses looked at anew.
func (f *fragmenter) look() {
	f.Helper()
	if err := f.bed.Table().Attach(ipvs.AttachTC); err != nil {
		f.Fatal(err)
	}
}

func TestErrorsOverIPv6ComeFromTheVIPIfTheHostHasIt(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.ipvsadm("-A -u %s -s rr", f.vip(1))
	if got := f.refusal6(); got != netip.MustParseAddr("2001:db8:1::fe") {
		t.Errorf("the VIP is not an address of the host: the error comes from %s", got)
	}
	f.ip("addr add " + vips[1].vip + "/128 dev lo nodad")
	f.look()
	if got := f.refusal6(); got != netip.MustParseAddr(vips[1].vip) {
		t.Errorf("the VIP is an address of the host: the error comes from %s", got)
	}
	f.ip("addr del " + vips[1].vip + "/128 dev lo")
	f.look()
	if got := f.refusal6(); got != netip.MustParseAddr("2001:db8:1::fe") {
		t.Errorf("the VIP is no longer an address of the host: the error comes from %s", got)
	}
}

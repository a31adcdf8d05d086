package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// cutUp are the fragments of a frame, of pieces of size bytes, which has to be a
// multiple of 8.
func cutUp(frame []byte, id uint32, size int) (all [][]byte) {
	v6 := frame[ethLen]>>4 == 6
	head := ethLen + 20
	if v6 {
		head = ethLen + 40
	}
	for at := 0; at < len(frame)-head; at += size {
		piece := frame[head+at : min(len(frame), head+at+size)]
		more := at+size < len(frame)-head
		f := slices.Clone(frame[:head])
		if v6 {
			f = append(f, f[ethLen+6], 0, 0, 0, 0, 0, 0, 0)
			f[ethLen+6] = fragNext
			word := uint16(at)
			if more {
				word |= 1
			}
			binary.BigEndian.PutUint16(f[head+2:], word)
			binary.BigEndian.PutUint32(f[head+4:], id)
			binary.BigEndian.PutUint16(f[ethLen+4:], uint16(8+len(piece)))
		} else {
			word := uint16(at / 8)
			if more {
				word |= moreFrag
			}
			binary.BigEndian.PutUint16(f[ethLen+2:], uint16(20+len(piece)))
			binary.BigEndian.PutUint16(f[ethLen+4:], uint16(id))
			binary.BigEndian.PutUint16(f[ethLen+6:], word)
			f[ethLen+10], f[ethLen+11] = 0, 0
			binary.BigEndian.PutUint16(f[ethLen+10:], 0xffff-sum(f[ethLen:head]))
		}
		all = append(all, append(f, piece...))
	}
	return all
}

// fragmenter sends fragments through a bed and looks at what the far side holds.
type fragmenter struct {
	*testing.T
	bed *bed.Bed
	far reassembler
}

// service makes a virtual service of UDP, and a server for it by a method.
func (f *fragmenter) service(vip, method string) {
	f.ipvsadm("-A -u %s -s rr", vip)
	f.ipvsadm("-a -u %s -r %s", vip, method)
}

func (f *fragmenter) ipvsadm(format string, args ...any) {
	f.Helper()
	if _, stderr, exit := f.bed.Ipvsadm(words(fmt.Sprintf(format, args...))...); exit != 0 {
		f.Fatalf(format+": %s", append(args, stderr)...)
	}
}

func words(s string) (all []string) {
	for w := range bytes.FieldsSeq([]byte(s)) {
		all = append(all, string(w))
	}
	return all
}

// send sends frames from a side, and returns the packets that the other then
// holds: waiting for so many.
func (f *fragmenter) send(from string, frames [][]byte, count int) (all []held) {
	f.Helper()
	for _, frame := range frames {
		if err := f.bed.Side(from).Send(frame); err != nil {
			f.Fatal(err)
		}
	}
	return f.receive(map[string]string{"client": "server", "server": "client"}[from], count)
}

// put sends frames of which nothing comes yet.
func (f *fragmenter) put(frames ...[]byte) {
	f.Helper()
	for _, frame := range frames {
		if err := f.bed.Side("client").Send(frame); err != nil {
			f.Fatal(err)
		}
	}
}

func (f *fragmenter) receive(side string, count int) (all []held) {
	f.Helper()
	for {
		wait := 5 * quiet
		if len(all) < count {
			wait = patience
		}
		frame, err := f.bed.Side(side).Receive(wait)
		if err != nil {
			f.Fatal(err)
		}
		if frame == nil {
			return all
		}
		packets, err := f.far.take(side, frame)
		if err != nil {
			f.Fatalf("%v: %x", err, frame)
		}
		all = append(all, packets...)
		if len(all) == count {
			return all
		}
	}
}

// datagram is a frame of UDP whose payload is pattern, not zeros.
func datagram(t *testing.T, from, src, dst string, sport, dport uint16, length int) []byte {
	payload := make([]byte, length)
	r := rand.New(rand.NewPCG(uint64(sport), uint64(length)))
	for i := range payload {
		payload[i] = byte(r.Uint32())
	}
	return frameOf(t, bed.Packet{Proto: "udp", From: from, Src: netip.MustParseAddr(src),
		Dst: netip.MustParseAddr(dst), Sport: sport, Dport: dport, Payload: payload}, nil)
}

// isDatagram says in what a packet differs from a right one with that payload.
func isDatagram(packet, frame []byte) error {
	_, l4, _ := transportOf(packet)
	_, from, _ := transportOf(frame[ethLen:])
	if !bytes.Equal(packet[l4+8:], frame[ethLen+from+8:]) {
		return fmt.Errorf("another payload: %x", packet)
	}
	if sum(append(pseudoOf(packet), packet[l4:]...)) != 0 {
		return fmt.Errorf("a wrong checksum: %x", packet[:l4+8])
	}
	return nil
}

// orders are all orders of n things.
func orders(n int) (all [][]int) {
	if n == 0 {
		return [][]int{{}}
	}
	for _, o := range orders(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(o), i, n-1))
		}
	}
	return all
}

// vips are a virtual service, a server and a client, by family.
var vips = []struct{ name, vip, server, client, serverPort string }{
	{"IPv4", "198.51.100.129", "203.0.113.1", "192.0.2.7", "203.0.113.1:8080"},
	{"IPv6", "2001:db8:2::81", "2001:db8:3::1", "2001:db8:1::7", "[2001:db8:3::1]:8080"},
}

func (f *fragmenter) vip(i int) string {
	if vips[i].name == "IPv6" {
		return "[" + vips[i].vip + "]:80"
	}
	return vips[i].vip + ":80"
}

func TestFragmentsArriveInWhateverOrderTheyCome(t *testing.T) {
	for _, d := range doors {
		for i, v := range vips {
			for _, method := range []string{"-m", "-g", "-i", "-i --tun-type gre", "-i --tun-type gue --tun-port 6080"} {
				t.Run(fmt.Sprintf("%s %s %s", d.mode, v.name, method), func(t *testing.T) {
					f := fragmenter{T: t, bed: beds.Lend(t, d.mode)}
					server := v.serverPort
					if method != "-m" {
						server = v.server
					}
					f.service(f.vip(i), server+" "+method)
					for n, order := range orders(4)[:8] {
						frame := datagram(t, "client", v.client, v.vip, 40000, 80, 3900)
						pieces := cutUp(frame, uint32(1000+n), 1000)
						var sent [][]byte
						for _, i := range order {
							sent = append(sent, pieces[i])
						}
						got := f.send("client", sent, 1)
						if len(got) != 1 {
							t.Fatalf("order %v: the server holds %d packets", order, len(got))
						}
						if err := isDatagram(got[0].packet, frame); err != nil {
							t.Fatalf("order %v: %v", order, err)
						}
					}
				})
			}
		}
	}
}

func TestFragmentedRepliesArriveInWhateverOrderTheyCome(t *testing.T) {
	for _, d := range doors {
		for i, v := range vips {
			t.Run(fmt.Sprintf("%s %s", d.mode, v.name), func(t *testing.T) {
				f := fragmenter{T: t, bed: beds.Lend(t, d.mode)}
				f.service(f.vip(i), v.serverPort+" -m")
				f.send("client", [][]byte{datagram(t, "client", v.client, v.vip, 40000, 80, 20)}, 1)
				for n, order := range orders(3) {
					frame := datagram(t, "server", v.server, v.client, 8080, 40000, 2900)
					pieces := cutUp(frame, uint32(1000+n), 1000)
					got := f.send("server", [][]byte{pieces[order[0]], pieces[order[1]], pieces[order[2]]}, 1)
					if len(got) != 1 {
						t.Fatalf("order %v: the client holds %d packets", order, len(got))
					}
					if err := isDatagram(got[0].packet, frame); err != nil {
						t.Fatalf("order %v: %v", order, err)
					}
				}
			})
		}
	}
}

// keptFrames is how many fragments wait at most: KEPT_FRAMES of bpf/kept.h.
const keptFrames = 512

func TestOfFragmentsThatWaitTheOldestGoFirst(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].serverPort+" -m")
	frame := datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 1900)
	const sent = keptFrames + 40
	for id := range uint32(sent) {
		f.put(cutUp(frame, id, 1000)[1:]...)
	}
	f.receive("server", 0)
	c := counters(t, f.bed)
	if c["fragment"] != sent || c["fragment_lost"] != 40 {
		t.Fatalf("%d fragments kept and %d lost, want %d and 40", c["fragment"], c["fragment_lost"], sent)
	}
	for _, id := range []uint32{40, sent - 1} {
		if got := f.send("client", cutUp(frame, id, 1000)[:1], 1); len(got) != 1 {
			t.Errorf("packet %d: the server holds %d packets", id, len(got))
		}
	}
	if got := f.send("client", cutUp(frame, 39, 1000)[:1], 0); len(got) != 0 {
		t.Errorf("packet 39, whose second fragment was dropped: the server holds %d packets", len(got))
	}
}

func TestFragmentsWaitNoLongerThanLinuxWould(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].serverPort+" -m")
	frame := datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 1900)
	early, late := cutUp(frame, 1, 1000), cutUp(frame, 2, 1000)
	f.send("client", late[1:], 0)
	if err := f.bed.Advance(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	f.send("client", early[1:], 0)
	if err := f.bed.Advance(11 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := f.send("client", late[:1], 0); len(got) != 0 {
		t.Errorf("the second fragment came 31 s before the first: the server holds %d packets", len(got))
	}
	if got := f.send("client", early[:1], 1); len(got) != 1 {
		t.Errorf("the second fragment came 11 s before the first: the server holds %d packets", len(got))
	}
	if c := counters(t, f.bed); c["fragment_lost"] != 1 {
		t.Errorf("%d fragments lost, want 1", c["fragment_lost"])
	}
}

func TestAFragmentOfNoPacketUnderWayWaits(t *testing.T) {
	f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
	f.service(f.vip(0), vips[0].serverPort+" -m")
	pieces := cutUp(datagram(t, "client", vips[0].client, vips[0].vip, 40000, 80, 2900), 7, 1000)
	if got := f.send("client", append(pieces, pieces[1]), 1); len(got) != 1 {
		t.Fatalf("the server holds %d packets", len(got))
	}
	if c := counters(t, f.bed); c["fragment"] != 1 {
		t.Errorf("%d fragments kept, want the one that came after its packet was complete", c["fragment"])
	}
}

// A header that is cut apart cannot be judged: its ports or flags could be in a
// fragment that says otherwise.
func TestAFirstFragmentWithoutItsWholeHeaderIsDropped(t *testing.T) {
	for i, v := range vips {
		t.Run(v.name, func(t *testing.T) {
			f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
			f.ipvsadm("-A -t %s -s rr", f.vip(i))
			f.ipvsadm("-a -t %s -r %s -m", f.vip(i), v.serverPort)
			syn := frameOf(t, bed.Packet{Proto: "tcp", Src: netip.MustParseAddr(v.client), Dst: netip.MustParseAddr(v.vip),
				Sport: 40000, Dport: 80, Flags: "S", Len: 40}, nil)
			if got := f.send("client", cutUp(syn, 9, 16), 0); len(got) != 0 {
				t.Errorf("the server holds %d packets", len(got))
			}
			c := counters(t, f.bed)
			if c["fragment_dropped"] != 1 || c["new_connection"] != 0 {
				t.Errorf("%d fragments dropped and %d connections, want 1 and none", c["fragment_dropped"], c["new_connection"])
			}
		})
	}
}

func TestAPacketOfSeveralFragmentsCountsOnce(t *testing.T) {
	for i, v := range vips {
		t.Run(v.name, func(t *testing.T) {
			f := fragmenter{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
			f.service(f.vip(i), v.serverPort+" -m")
			frame := datagram(t, "client", v.client, v.vip, 40000, 80, 2900)
			f.send("client", cutUp(frame, 7, 1000), 1)
			services, err := f.bed.Table().Services()
			if err != nil {
				t.Fatal(err)
			}
			got := services[0].Stats
			if got.InPackets != 1 || got.InBytes != uint64(len(frame)-ethLen) {
				t.Errorf("%d packets of %d bytes, want one of %d", got.InPackets, got.InBytes, len(frame)-ethLen)
			}
		})
	}
}

package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// residue is what the ones' complement sum over a packet and its checksum is
// off from that of a right one; 0 if the checksum is right.
func residue(frame []byte) (ip, l4 uint16) {
	header := frame[14 : 14+4*int(frame[14]&15)]
	rest := frame[14+len(header):]
	pseudo := append([]byte{0, header[9], byte(len(rest) >> 8), byte(len(rest))}, header[12:20]...)
	return sum(header) % 0xffff, sum(append(pseudo, rest...)) % 0xffff
}

// sum is the sum of the 16-bit words, modulo 2^16-1.
func sum(b []byte) uint16 {
	if len(b)%2 == 1 {
		b = append(b[:len(b):len(b)], 0)
	}
	s := uint32(0)
	for ; len(b) > 0; b = b[2:] {
		s = (s + uint32(binary.BigEndian.Uint16(b))) % 0xffff
	}
	return uint16(s)
}

// checkAt is where the transport checksum of a frame without IP options is.
func checkAt(f []byte) []byte {
	if f[23] == 17 {
		return f[40:42]
	}
	return f[50:52]
}

// randomStep is a packet of client n, that may be new or an answer.
func randomStep(r *rand.Rand) step {
	proto := []string{"tcp", "udp"}[r.IntN(2)]
	s := sent(proto, "S")
	s.pkt.Sport = uint16(1 + r.IntN(65535))
	s.pkt.Payload = make([]byte, r.IntN(64))
	for i := range s.pkt.Payload {
		s.pkt.Payload[i] = byte(r.Uint32())
	}
	return s
}

func TestChecksumsKeepTheirErrorWhateverItIs(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			r := ready(t, d)
			random := rand.New(rand.NewPCG(1, 2))
			for range 3000 {
				client := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(253))})
				in := frameOf(t, withClient(randomStep(random).pkt, client), nil)
				if random.IntN(2) == 0 {
					binary.BigEndian.PutUint16(checkAt(in), uint16(random.IntN(0x10000)))
				}
				if random.IntN(4) == 0 {
					in[24] ^= byte(random.Uint32())
				}
				v, out, err := r.run(in, false)
				if err != nil || v != send {
					t.Fatalf("a packet was %s (%v): %s", v, err, hexOf(in))
				}
				checkErrors(t, in, out)
			}
		})
	}
}

// checkErrors sees to it that out is as wrong as in.
func checkErrors(t *testing.T, in, out []byte) {
	t.Helper()
	inIP, inL4 := residue(in)
	outIP, outL4 := residue(out)
	if inIP != outIP {
		t.Fatalf("the IP checksum was off by %04x and is by %04x\n in: %s\nout: %s", inIP, outIP, hexOf(in), hexOf(out))
	}
	was, is := binary.BigEndian.Uint16(checkAt(in)), binary.BigEndian.Uint16(checkAt(out))
	if in[23] == 17 && is == 0 {
		t.Fatalf("the UDP checksum was %04x and is zero, which is none", was)
	}
	if in[23] == 17 && was == 0 {
		inL4 = 0 // there was none, and a right one is made
	}
	if inL4 != outL4 {
		t.Fatalf("the transport checksum was off by %04x and is by %04x\n in: %s\nout: %s", inL4, outL4, hexOf(in), hexOf(out))
	}
}

func TestAUDPChecksumThatComesToZeroIsWrittenAsOnes(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			r := ready(t, d)
			for port := uint16(5000); port < 5200; port++ {
				in := withClient(sent("udp", "").pkt, netip.MustParseAddr("192.0.2.77"))
				in.Sport = port
				in.Payload = make([]byte, 2)
				// The payload that makes the sum over the packet as it is sent on all ones.
				out := frameOf(t, translated(in, sent("udp", "").out), nil)
				copy(in.Payload, checkAt(out))
				frame := frameOf(t, in, nil)
				v, got, err := r.run(frame, false)
				if err != nil || v != send {
					t.Fatalf("a packet was %s (%v)", v, err)
				}
				if check := binary.BigEndian.Uint16(checkAt(got)); check != 0xffff {
					t.Fatalf("the checksum is %04x\n in: %s\nout: %s", check, hexOf(frame), hexOf(got))
				}
				checkErrors(t, frame, got)
			}
		})
	}
}

// ready is a runner on a bed with the usual services.
func ready(t *testing.T, d door) *runner {
	t.Helper()
	b := beds.Lend(t, d.mode)
	commands(t, b, setup)
	return newRunner(t, d, b)
}

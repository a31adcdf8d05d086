package datapath

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// seeds are good packets in every kind of tunnel and family, to be damaged.
func seeds() (frames [][]byte) {
	for _, inside := range []int{4, 6} {
		for _, outside := range []int{4, 6} {
			p := request(inside, 2, 64)
			options, offloaded := remcsum(p)
			frames = append(frames,
				ethernet(outer(outside, protoOf(p), 3, p)),
				ethernet(outer(outside, protoGRE, 0, gre(0, p))),
				ethernet(outer(outside, protoGRE, 0, gre(0x8000, p))),
				ethernet(outerGUE(outside, true, gue(0, protoOf(p), 0, nil, p))),
				ethernet(outerGUE(outside, true, gue(0, protoOf(p), 1, options, offloaded))))
		}
	}
	return append(frames, ethernet(outer(6, protoOptions, 0, append([]byte{protoIPIP, 0, 1, 4, 0, 0, 0, 0}, request(4, 0, 9)...))))
}

// damage changes some bytes, most of them in headers, or cuts the frame; often
// it then puts the checksum of an outer IPv4 header right, so that more is read.
func damage(random *rand.Rand, frame []byte) []byte {
	out := bytes.Clone(frame)
	for range 1 + random.IntN(4) {
		at := 12 + random.IntN(min(len(out)-12, 100))
		switch random.IntN(3) {
		case 0:
			out[at] ^= 1 << random.IntN(8)
		case 1:
			out[at] = byte(random.Uint32())
		case 2:
			out[at] = []byte{0, 1, 4, 0x45, 0x60, 0x80, 0xff}[random.IntN(7)]
		}
	}
	if random.IntN(4) == 0 {
		out = out[:54+random.IntN(len(out)-53)] // tc takes none without all of its IP header
	}
	if ip := out[min(14, len(out)):]; random.IntN(4) > 0 && len(ip) >= 20 && ip[0]>>4 == 4 && int(ip[0]&15)*4 >= 20 && len(ip) >= int(ip[0]&15)*4 {
		fixed4(ip)
	}
	return out
}

// What comes out is what went in, or the packet inside: behind the Ethernet
// header the end of the frame, but for the marks and checksums that are made.
func isWholeOrInside(in, out []byte) bool {
	if bytes.Equal(in, out) {
		return true
	}
	if len(out) >= len(in) || len(out) < 14+20 || !bytes.Equal(out[:12], in[:12]) {
		return false
	}
	inside, end := out[14:], in[len(in)-len(out)+14:]
	differ := 0
	for i := range inside {
		if inside[i] != end[i] {
			differ++
		}
	}
	return inside[0]>>4 == end[0]>>4 && differ <= 5 // a mark, a checksum of IP, one of UDP
}

func TestDamagedPacketsAreLeftOrDroppedUnderANameAndNothingElse(t *testing.T) {
	realServer(t, server)
	const rounds = 100_000
	good := seeds()
	firstDrop := slices.IndexFunc(DecapReasons, func(r Reason) bool { return r.Name == "checksum" })
	for _, mode := range decapDoors {
		p, before := decapProgram(t, mode), counted(t)
		random := rand.New(rand.NewPCG(7, uint64(mode)))
		var drops, shorter uint64
		for range rounds {
			in := damage(random, good[random.IntN(len(good))])
			out, dropped := pass(t, p, in)
			if dropped {
				drops++
			} else if len(out) < len(in) {
				shorter++
			}
			if !dropped && !isWholeOrInside(in, out) {
				t.Fatalf("%v: %x became %x", mode, in, out)
			}
		}
		now := since(t, before)
		var counts, taken uint64
		for i, r := range DecapReasons {
			if i >= firstDrop {
				counts += now[r.Name]
			} else if i < 3 {
				taken += now[r.Name]
			}
		}
		if counts != drops || taken != shorter {
			t.Errorf("%v: %d dropped and %d under a name; %d taken out and %d counted", mode, drops, counts, shorter, taken)
		}
		for _, r := range DecapReasons {
			if now[r.Name] == 0 && r.Name != "failed" && (mode == ModeTC || r.Name != "foreign" && r.Name != "fragment") {
				t.Errorf("%v: none of %d damaged packets was counted as %s", mode, rounds, r.Name)
			}
		}
		t.Logf("%v: %v", mode, now)
	}
}

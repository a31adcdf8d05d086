package packet

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

// held is a packet that a receiver has in the end.
type held struct {
	by     string // side and MAC address
	packet []byte
}

func (h held) String() string { return h.by + " " + hex.EncodeToString(h.packet) }

// A reassembler is the receivers at the far ends of the cables: they take
// packets out of tunnels and put fragments together, outside and inside.
type reassembler struct {
	open map[string][]piece // of a packet, by what its fragments have in common
}

type piece struct {
	at   int
	last bool
	head []byte // the IP header
	data []byte
}

const (
	ethLen   = 14
	moreFrag = 0x2000
	offset4  = 0x1fff
	fragNext = 44
)

// take takes a frame, and returns the packet that it completes, if it does.
func (r *reassembler) take(side string, frame []byte) ([]held, error) {
	if r.open == nil {
		r.open = map[string][]piece{}
	}
	by := side + " " + hex.EncodeToString(frame[:6])
	packet, err := exact(frame[ethLen:])
	for depth := 0; err == nil; depth++ {
		if packet = r.whole(by, packet); packet == nil {
			return nil, nil
		}
		inner, wrapped, bad := unwrap(packet)
		if bad != nil {
			return nil, bad
		}
		if !wrapped {
			return []held{{by, packet}}, nil
		}
		if depth == 1 {
			return nil, errors.New("a tunnel in a tunnel")
		}
		packet, err = exact(inner)
	}
	return nil, err
}

// exact is the IP packet without what follows it, its header checked.
func exact(ip []byte) ([]byte, error) {
	if len(ip) >= 40 && ip[0]>>4 == 6 {
		if total := 40 + int(binary.BigEndian.Uint16(ip[4:])); total <= len(ip) {
			return slices.Clone(ip[:total]), nil
		}
	}
	if len(ip) >= 20 && ip[0]>>4 == 4 {
		size, total := 4*int(ip[0]&15), int(binary.BigEndian.Uint16(ip[2:]))
		if size >= 20 && size <= total && total <= len(ip) && sum(ip[:size]) == 0 {
			return slices.Clone(ip[:total]), nil
		}
	}
	return nil, errors.New("not a right IP packet")
}

// whole is the packet, put together if this is the last of its fragments to
// come; nil if some are missing.
func (r *reassembler) whole(by string, ip []byte) []byte {
	p, key, cut := split(ip)
	if !cut {
		return ip
	}
	key = by + key
	r.open[key] = append(r.open[key], p)
	pieces := slices.SortedFunc(slices.Values(r.open[key]), func(a, b piece) int { return a.at - b.at })
	var data []byte
	for _, p := range pieces {
		if p.at != len(data) {
			return nil
		}
		data = append(data, p.data...)
	}
	if !pieces[len(pieces)-1].last {
		return nil
	}
	delete(r.open, key)
	packet := append(slices.Clone(pieces[0].head), data...)
	if packet[0]>>4 == 6 {
		binary.BigEndian.PutUint16(packet[4:], uint16(len(packet)-40))
		return packet
	}
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	binary.BigEndian.PutUint16(packet[6:], 0)
	size := 4 * int(packet[0]&15)
	packet[10], packet[11] = 0, 0
	binary.BigEndian.PutUint16(packet[10:], 0xffff-sum(packet[:size]))
	return packet
}

// split takes a fragment apart; false if it is none.
func split(ip []byte) (p piece, key string, cut bool) {
	if ip[0]>>4 == 4 {
		size, word := 4*int(ip[0]&15), binary.BigEndian.Uint16(ip[6:])
		p = piece{at: 8 * int(word&offset4), last: word&moreFrag == 0, head: ip[:size], data: ip[size:]}
		return p, fmt.Sprintf("%x %x %x", ip[4:6], ip[9], ip[12:20]), word&(moreFrag|offset4) != 0
	}
	before, next := 40, 6 // what precedes the fragment header; where its number stands
	for ip[next] == 0 || ip[next] == 43 || ip[next] == 60 {
		next, before = before, before+8+8*int(ip[before+1])
	}
	if ip[next] != fragNext {
		return p, "", false
	}
	word := binary.BigEndian.Uint16(ip[before+2:])
	p = piece{at: int(word &^ 7), last: word&1 == 0, head: slices.Clone(ip[:before]), data: ip[before+8:]}
	p.head[next] = ip[before]
	return p, fmt.Sprintf("%x %x", ip[before+4:before+8], ip[8:40]), true
}

// unwrap takes a packet out of its tunnel; false if it is in none.
func unwrap(ip []byte) (inner []byte, wrapped bool, err error) {
	proto, body := ip[9], ip[20:]
	if ip[0]>>4 == 6 {
		proto, body = ip[6], ip[40:]
	}
	switch proto {
	case 4, 41:
		return body, true, nil
	case 47:
		inner, err = ungre(body)
		return inner, true, err
	case 17:
		if port := binary.BigEndian.Uint16(body[2:]); port < 6080 || port > 6083 {
			return nil, false, nil
		}
		inner, err = ungue(ip, body)
		return inner, true, err
	}
	return nil, false, nil
}

// ungre reads a GRE header: RFC 2784.
func ungre(b []byte) ([]byte, error) {
	flags := binary.BigEndian.Uint16(b)
	switch {
	case flags == 0:
		return b[4:], nil
	case flags == 0x8000 && sum(b) == 0:
		return b[8:], nil
	}
	return nil, errors.New("GRE with a wrong checksum or unknown flags")
}

// ungue reads the UDP and GUE headers, and makes the checksum that was left to
// the receiver.
func ungue(ip, b []byte) ([]byte, error) {
	addresses := ip[12:20]
	if ip[0]>>4 == 6 {
		addresses = ip[8:40]
	}
	pseudo := append(slices.Clone(addresses), 0, 17, b[4], b[5])
	if none := b[6] == 0 && b[7] == 0; !none && sum(append(pseudo, b...)) != 0 {
		return nil, errors.New("GUE with a wrong UDP checksum")
	}
	gue := b[8:]
	if int(binary.BigEndian.Uint16(b[4:])) != len(b) || gue[0]>>5 != 0 || gue[1] != 4 && gue[1] != 41 {
		return nil, fmt.Errorf("not a right GUE header: %x", b[:16])
	}
	inner := gue[4+4*int(gue[0]&31):]
	if flags := binary.BigEndian.Uint16(gue[2:]); flags == 0 {
		return inner, nil
	} else if flags != 1 || gue[0] != 2 || binary.BigEndian.Uint32(gue[4:]) != 1<<31 {
		return nil, fmt.Errorf("unknown flags of GUE: %x", gue[:8])
	}
	start, at := binary.BigEndian.Uint16(gue[8:]), binary.BigEndian.Uint16(gue[10:])
	binary.BigEndian.PutUint16(inner[at:], 0xffff-sum(inner[start:]))
	return inner, nil
}

// compare says in what the packets differ, in whatever order they came.
func compare(name string, got, want []held) error {
	texts := func(all []held) (s []string) {
		for _, h := range all {
			s = append(s, h.String())
		}
		slices.Sort(s)
		return s
	}
	g, w := texts(got), texts(want)
	if slices.Equal(g, w) {
		return nil
	}
	return fmt.Errorf("%s:\n got: %s\nwant: %s", name, strings.Join(g, "\n      "), strings.Join(w, "\n      "))
}

// delivered is what the server would hold of a packet of TCP over IPv6 that the
// kernel loses: as it was sent, a hop older, and to where the recording's SYN
// went.
func (p *player) delivered(s conformance.Scenario, group []conformance.Frame) []held {
	var syn, sent []held
	for _, step := range s.Steps {
		f, err := conformance.Read[conformance.Frame](step)
		if err == nil && f.Note == "SYN" {
			syn = p.take(&reassembler{}, "server", p.bytes(f.Out[0].Hex))
		}
	}
	r := &reassembler{}
	for _, f := range group {
		sent = append(sent, p.take(r, f.From, p.bytes(f.In))...)
	}
	if len(syn) != 1 || len(sent) != 1 {
		p.Fatalf("%s: %d SYN and %d packets", s.Name, len(syn), len(sent))
	}
	const hop, to, dport = 7, 24, 42
	packet := sent[0].packet
	packet[hop]--
	copy(packet[to:to+16], syn[0].packet[to:])
	copy(packet[dport:dport+2], syn[0].packet[dport:])
	return []held{{syn[0].by, bed.Checksummed(append(make([]byte, ethLen), packet...))[ethLen:]}}
}

package model

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// The schedulers that hash have tables of places, each some destination's.
const (
	placesSH = 256 // and of dh
	placesMH = 4093
)

// tables deal the places among destinations.
var tables = map[string]func(s *Service) []*Destination{
	"dh": func(s *Service) []*Destination { return dealDH(s.Destinations) },
	"sh": func(s *Service) []*Destination { return dealSH(s.Destinations) },
	"mh": func(s *Service) []*Destination { return dealMH(s.Destinations, s.Six()) },
}

// dealDH: in turn.
func dealDH(all []*Destination) []*Destination {
	if len(all) == 0 {
		return nil
	}
	places := make([]*Destination, placesSH)
	for i := range places {
		places[i] = all[i%len(all)]
	}
	return places
}

// dealSH: in turn, each as many in a row as its weight, and one at least.
func dealSH(all []*Destination) (places []*Destination) {
	for len(all) > 0 {
		for _, d := range all {
			for range max(1, d.Weight) {
				if places = append(places, d); len(places) == placesSH {
					return places
				}
			}
		}
	}
	return nil
}

// dealMH: in turn, each as many in a row as its share, of the places in an order of
// its own the next that is free.
func dealMH(all []*Destination, six bool) []*Destination {
	divisor, greatest := 0, 0
	for _, d := range all {
		divisor, greatest = gcd(d.lastWeight, divisor), max(greatest, d.lastWeight)
	}
	if greatest == 0 {
		return nil
	}
	shift := max(0, bits.Len(uint(greatest/divisor))-6)
	places := make([]*Destination, placesMH)
	at := make([]uint32, len(all))
	for i, d := range all {
		at[i] = hsiphash(key(d, six), 2654435761) % placesMH
	}
	for taken := 0; ; {
		for i, d := range all {
			if d.lastWeight == 0 {
				continue
			}
			skip := hsiphash(key(d, six), 2654446892)%(placesMH-1) + 1
			for range max(1, d.lastWeight/divisor>>shift) {
				for places[at[i]] != nil {
					at[i] = (at[i] + skip) % placesMH
				}
				places[at[i]] = d
				if taken++; taken == placesMH {
					return places
				}
			}
		}
	}
}

func key(d *Destination, six bool) uint32 { return fold(d.Addr.Addr(), six) + uint32(d.Addr.Port()) }

// dh: the place of the address that the packet was sent to.
func (t *Table) dh(s *Service, p Packet) *Destination {
	if len(s.sched.places) == 0 {
		return nil
	}
	d := s.sched.places[golden(fold(p.Virtual.Addr(), s.Six()))]
	if !d.usable() {
		return nil
	}
	return d
}

// byClient is sh and mh: the place of the client; with the fallback that of its next
// hash, if who has it is not usable.
func byClient(place func(client, offset uint32) uint32) func(*Table, *Service, Packet) *Destination {
	return func(_ *Table, s *Service, p Packet) *Destination {
		places := s.sched.places
		if len(places) == 0 {
			return nil
		}
		client := fold(p.Client.Addr(), s.Six())
		if s.Port {
			client += uint32(p.Client.Port())
		}
		own := place(client, 0)
		if d := places[own]; d.usable() {
			return d
		}
		for i := 0; s.Fallback && i < len(places); i++ {
			offset := (own + uint32(i)) % uint32(len(places))
			if d := places[place(client, offset)]; d.usable() {
				return d
			}
		}
		return nil
	}
}

func placeSH(client, offset uint32) uint32 { return (golden(client) + offset) % placesSH }
func placeMH(client, offset uint32) uint32 { return hsiphash(client+offset, 2654435761) % placesMH }

// fold is an address in 32 bits, as a service of a family sees it.
func fold(a netip.Addr, six bool) (word uint32) {
	if !six {
		return binary.BigEndian.Uint32(a.AsSlice())
	}
	for b := a.AsSlice(); len(b) > 0; b = b[4:] {
		word ^= binary.BigEndian.Uint32(b)
	}
	return word
}

// golden is eight bits of a product with the golden ratio.
func golden(v uint32) uint32 { return v * 0x61c88647 >> 24 }

// hsiphash is SipHash-1-3 of one word, in 32 bits, with a key of two equal halves.
func hsiphash(word uint32, key uint64) uint32 {
	v0, v1, v2, v3 := key^0x736f6d6570736575, key^0x646f72616e646f6d, key^0x6c7967656e657261, key^0x7465646279746573
	round := func() {
		v0, v2 = v0+v1, v2+v3
		v1, v3 = bits.RotateLeft64(v1, 13)^v0, bits.RotateLeft64(v3, 16)^v2
		v2, v0 = v2+v1, bits.RotateLeft64(v0, 32)+v3
		v1, v3 = bits.RotateLeft64(v1, 17)^v2, bits.RotateLeft64(v3, 21)^v0
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := 4<<56 | uint64(word)
	v3 ^= last
	round()
	v0 ^= last
	v2 ^= 0xff
	round()
	round()
	round()
	return uint32(v0 ^ v1 ^ v2 ^ v3)
}

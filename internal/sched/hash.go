package sched

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// NoPlace is an index of a table that leads to no member.
const NoPlace = 0xffff

// A Placement is the table of a scheduler that hashes: for each value of the
// hash the position of the member it leads to, or NoPlace. It says so for
// members in the order they walk, of a service over IPv6 or IPv4, and has one
// length for any members but none.
type Placement func(v6 bool, members []Member) []uint16

// fold is an address in 32 bits, as the kernel's hashing schedulers see it: of a
// service over IPv4 the first four bytes, over IPv6 the exclusive or of the four
// words, of which an IPv4 address has one.
func fold(a netip.Addr, v6 bool) uint32 {
	var b [16]byte
	copy(b[:], a.AsSlice())
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	if !v6 {
		return word(0)
	}
	return word(0) ^ word(1) ^ word(2) ^ word(3)
}

// siphash13 is SipHash with one round for each word and three at the end, of the
// four bytes of v, in its lower 32 bits. Both words of the key are the same. It is
// what 64-bit kernels have under the name of hsiphash.
// (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.)
func siphash13(v uint32, key uint64) uint32 {
	s := [4]uint64{0x736f6d6570736575 ^ key, 0x646f72616e646f6d ^ key, 0x6c7967656e657261 ^ key, 0x7465646279746573 ^ key}
	last := 4<<56 | uint64(v) // the length and the bytes
	s[3] ^= last
	sipRound(&s)
	s[0] ^= last
	s[2] ^= 0xff
	for range 3 {
		sipRound(&s)
	}
	return uint32(s[0] ^ s[1] ^ s[2] ^ s[3])
}

func sipRound(s *[4]uint64) {
	s[0] += s[1]
	s[2] += s[3]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[1]
	s[0] += s[3]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] = bits.RotateLeft64(s[2], 32)
}

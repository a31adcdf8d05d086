package ipvs

import (
	"math/bits"
	"net/netip"
)

// MaskOf is the netmask of family f whose first n bits are set. It is the zero
// Addr if the family has no n bits.
func MaskOf(n int, f Family) netip.Addr {
	if f == IPv6 {
		return ones(netip.AddrFrom16([16]byte{}), n)
	}
	return ones(netip.AddrFrom4([4]byte{}), n)
}

// ones sets the first n bits of zero.
func ones(zero netip.Addr, n int) netip.Addr {
	if n < 0 || n > zero.BitLen() {
		return netip.Addr{}
	}
	raw := zero.AsSlice()
	for i := range n {
		raw[i/8] |= 0x80 >> (i % 8)
	}
	mask, _ := netip.AddrFromSlice(raw)
	return mask
}

// MaskLen is the number of bits set in mask: its prefix length, if it is a
// prefix at all.
func MaskLen(mask netip.Addr) int {
	n := 0
	for _, b := range mask.AsSlice() {
		n += bits.OnesCount8(b)
	}
	return n
}

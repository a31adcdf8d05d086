package sched

import "math/bits"

// MHPlaces is the length of mh's table: the prime that the kernel has for its
// default, IP_VS_MH_TAB_INDEX=12.
const MHPlaces = 4093

// mhTurnBits bounds the turns of the heaviest member: half of the table's index.
const mhTurnBits = 12 / 2

// The keys of the two hashes that order the places for a member. They are fixed, so
// that all directors have the same table.
const (
	mhKey1 = 2654435761
	mhKey2 = 2654446892
)

// placeMH is Maglev hashing: like sh it keeps a client with its server, and when
// servers come and go hardly any other client is moved. Each member has an order of
// its own in which it would like the places of the table: it begins at a hash of
// its address and goes on in steps of another. In turn each takes the first that is
// free in its order, and as many as its weight says, until none is left.
//
// The weight that counts is the last that was not 0, so that a member taken out for
// a while moves nobody else's clients.
// (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4.)
func placeMH(v6 bool, members []Member) []uint16 {
	if len(members) == 0 {
		return nil
	}
	table := make([]uint16, MHPlaces)
	for i := range table {
		table[i] = NoPlace
	}
	wishes := mhWishes(v6, members[:min(len(members), MHPlaces)])
	if len(wishes) == 0 {
		return table
	}
	for left := MHPlaces; ; {
		for i := range wishes {
			for range wishes[i].turns {
				wishes[i].take(table)
				if left--; left == 0 {
					return table
				}
			}
		}
	}
}

// wish is the order in which a member would like to have the places.
type wish struct {
	member   uint16
	at, step uint32
	turns    uint32
}

// take gives the member the first place in its order that is free; there is one.
func (w *wish) take(table []uint16) {
	for table[w.at] != NoPlace {
		w.at = (w.at + w.step) % MHPlaces
	}
	table[w.at] = w.member
}

// mhWishes returns the wishes of the members that have weight. Weights are divided
// by what they have in common, and great ones made smaller, so that every member
// has its turn before the table is full.
func mhWishes(v6 bool, members []Member) []wish {
	var divisor, greatest uint32
	for _, m := range members {
		divisor = gcd(m.LastWeight, divisor)
		greatest = max(greatest, m.LastWeight)
	}
	if greatest == 0 {
		return nil
	}
	shift := max(0, bits.Len32(greatest/divisor)-mhTurnBits)
	var wishes []wish
	for i, m := range members {
		if m.LastWeight == 0 {
			continue
		}
		key := fold(m.Addr.Addr(), v6) + uint32(m.Addr.Port())
		wishes = append(wishes, wish{
			member: uint16(i),
			at:     siphash13(key, mhKey1) % MHPlaces,
			step:   siphash13(key, mhKey2)%(MHPlaces-1) + 1,
			turns:  max(1, m.LastWeight/divisor>>shift),
		})
	}
	return wishes
}

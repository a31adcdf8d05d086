package sched

import (
	"net/netip"
	"slices"
	"testing"
)

// servers are members at 203.0.113.1 and so on, with these weights.
func servers(weights ...uint32) []Member {
	members := make([]Member, len(weights))
	for i, w := range weights {
		addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})
		members[i] = Member{ID: uint32(i), Weight: w, LastWeight: w, Addr: netip.AddrPortFrom(addr, 80)}
	}
	return members
}

// shares counts the places of each member.
func shares(table []uint16, members int) []int {
	count := make([]int, members)
	for _, place := range table {
		count[place]++
	}
	return count
}

func TestDestinationHashingDealsItsPlacesInTurnWhateverTheWeights(t *testing.T) {
	table := placeDH(false, servers(1, 0, 9))
	if !slices.Equal(table[:4], []uint16{0, 1, 2, 0}) || len(table) != DHPlaces {
		t.Errorf("%d places begin with %v", len(table), table[:4])
	}
}

func TestSourceHashingGivesRunsAsLongAsTheWeights(t *testing.T) {
	table := placeSH(false, servers(3, 0, 1))
	if want := []uint16{0, 0, 0, 1, 2, 0, 0, 0, 1, 2}; !slices.Equal(table[:10], want) || len(table) != SHPlaces {
		t.Errorf("%d places begin with %v, want %v", len(table), table[:10], want)
	}
}

func TestMaglevGivesEachTheShareOfItsWeight(t *testing.T) {
	for _, c := range []struct{ weights, turns []uint32 }{
		{[]uint32{1, 1, 1}, []uint32{1, 1, 1}},
		{[]uint32{3, 1, 4, 2, 5}, []uint32{3, 1, 4, 2, 5}},
		{[]uint32{100, 200, 300}, []uint32{1, 2, 3}},
		{[]uint32{5, 0, 5}, []uint32{1, 0, 1}},
		{[]uint32{65535, 1}, []uint32{63, 1}}, // what is great is made smaller, what is small stays
	} {
		var round uint32
		for _, n := range c.turns {
			round += n
		}
		for i, got := range shares(placeMH(false, servers(c.weights...)), len(c.weights)) {
			whole := int(MHPlaces/round) * int(c.turns[i])
			if got < whole || got > whole+int(c.turns[i]) {
				t.Errorf("of weights %v the member of %d has %d places, want about %d", c.weights, c.weights[i], got, whole)
			}
		}
	}
}

func TestMaglevMovesHardlyAnybodyElseWhenOneGoes(t *testing.T) {
	members := servers(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	was := placeMH(false, members)
	for gone := range members {
		now := placeMH(false, slices.Delete(slices.Clone(members), gone, gone+1))
		moved := 0
		for i := range was {
			if int(was[i]) == gone {
				continue
			}
			after := int(now[i])
			if after >= gone {
				after++
			}
			if after != int(was[i]) {
				moved++
			}
		}
		if moved*20 > MHPlaces {
			t.Errorf("when member %d of ten goes, %d places of %d move between others", gone, moved, MHPlaces)
		}
	}
}

func TestAMemberTakenOutByWeightKeepsItsPlacesInMaglev(t *testing.T) {
	members := servers(2, 1, 1)
	was := placeMH(false, members)
	members[0].Weight = 0
	if !slices.Equal(placeMH(false, members), was) {
		t.Error("a weight of 0 moved places")
	}
	members[0].LastWeight = 0
	if slices.Contains(placeMH(false, members), 0) {
		t.Error("a member that never had a weight has places")
	}
}

func TestTablesHaveOneLengthForAnyMembers(t *testing.T) {
	many := make([]uint32, 5000)
	for i := range many {
		many[i] = uint32(i % 3)
	}
	for _, s := range All {
		if s.Place == nil {
			continue
		}
		if n := len(s.Place(false, nil)); n != 0 {
			t.Errorf("%s has %d places for nobody", s.Name, n)
		}
		want := len(s.Place(false, servers(1)))
		for _, weights := range [][]uint32{{0}, {0, 0}, {7, 1 << 31}, many} {
			for _, v6 := range []bool{false, true} {
				table := s.Place(v6, servers(weights...))
				if len(table) != want {
					t.Errorf("%s has %d places for %d members, %d for one", s.Name, len(table), len(weights), want)
				}
				for _, place := range table {
					if place != NoPlace && int(place) >= len(weights) {
						t.Fatalf("%s: a place leads to member %d of %d", s.Name, place, len(weights))
					}
				}
			}
		}
	}
}

func TestAddressesAreFoldedAsTheirServiceSees(t *testing.T) {
	for _, c := range []struct {
		addr string
		v6   bool
		want uint32
	}{
		{"192.0.2.1", false, 0xc0000201},
		{"192.0.2.1", true, 0xc0000201},
		{"2001:db8::7", true, 0x20010db8 ^ 7},
		{"2001:db8::7", false, 0x20010db8},
	} {
		if got := fold(netip.MustParseAddr(c.addr), c.v6); got != c.want {
			t.Errorf("%s, IPv6 %v: %08x, want %08x", c.addr, c.v6, got, c.want)
		}
	}
}

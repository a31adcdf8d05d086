package ipvsadm

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/ipvs"
)

// sorted returns the services in the order of listings, and so their
// destinations. What came in stays as it was.
func sorted(services []ipvs.ServiceInfo) []ipvs.ServiceInfo {
	services = mergeSorted(services, func(a, b ipvs.ServiceInfo) int { return compareKeys(a.ServiceKey, b.ServiceKey) })
	for i, s := range services {
		services[i].Destinations = mergeSorted(s.Destinations,
			func(a, b ipvs.DestinationInfo) int { return compareAddrPorts(a.Addr, b.Addr) })
	}
	return services
}

// mergeSorted returns a sorted copy of list, made by halving and merging as C's
// qsort does on Linux. The algorithm shows: the comparison below is not
// transitive, and 10.0.0.1, 127.0.0.1 and 192.0.2.1 have no right order.
func mergeSorted[T any](list []T, compare func(a, b T) int) []T {
	if len(list) < 2 {
		return slices.Clone(list)
	}
	half := len(list) / 2
	a, b := mergeSorted(list[:half], compare), mergeSorted(list[half:], compare)
	merged := make([]T, 0, len(list))
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

func compareKeys(a, b ipvs.ServiceKey) int {
	if a.FWMark != 0 || b.FWMark != 0 {
		return cmp.Or(difference(a.FWMark, b.FWMark), cmp.Compare(a.Family, b.Family))
	}
	return cmp.Or(
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Protocol, b.Protocol),
		compareAddrPorts(a.Addr, b.Addr))
}

func compareAddrPorts(a, b netip.AddrPort) int {
	return cmp.Or(compareAddrs(a.Addr(), b.Addr()), cmp.Compare(a.Port(), b.Port()))
}

// compareAddrs compares addresses word by word, whatever their family: an IPv4
// address is one word, and stands among the IPv6 ones by it.
func compareAddrs(a, b netip.Addr) int {
	wordsA, wordsB := words(a), words(b)
	for i := range wordsA {
		if d := difference(wordsA[i], wordsB[i]); d != 0 {
			return d
		}
	}
	return 0
}

func words(a netip.Addr) (w [4]uint32) {
	for i, raw := 0, a.AsSlice(); len(raw) >= 4; i, raw = i+1, raw[4:] {
		w[i] = binary.BigEndian.Uint32(raw)
	}
	return w
}

// difference compares numbers as the real command does, by the sign of the 32-bit
// difference: mark 4294967295 stands before all others, and 0.0.0.0 behind
// 198.51.100.129.
func difference(a, b uint32) int {
	return cmp.Compare(int32(a-b), 0)
}

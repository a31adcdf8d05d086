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
	services = slices.Clone(services)
	slices.SortStableFunc(services, func(a, b ipvs.ServiceInfo) int { return compareKeys(a.ServiceKey, b.ServiceKey) })
	for i := range services {
		ds := slices.Clone(services[i].Destinations)
		slices.SortStableFunc(ds, func(a, b ipvs.DestinationInfo) int { return compareAddrPorts(a.Addr, b.Addr) })
		services[i].Destinations = ds
	}
	return services
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

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

func compareAddrs(a, b netip.Addr) int {
	if a.Is4() && b.Is4() {
		return difference(ipv4Number(a), ipv4Number(b))
	}
	return a.Compare(b)
}

func ipv4Number(a netip.Addr) uint32 {
	raw := a.As4()
	return binary.BigEndian.Uint32(raw[:])
}

// difference compares as the real command does, by the sign of the 32-bit
// difference: mark 4294967295 stands before all others, and 0.0.0.0 behind
// 198.51.100.129.
func difference(a, b uint32) int {
	return cmp.Compare(int32(a-b), 0)
}

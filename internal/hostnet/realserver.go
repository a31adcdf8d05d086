package hostnet

import "net/netip"

// RealServer is what a real server needs to answer for the VIPs itself, as the
// route and tunnel methods have it: the VIPs on device (lo for route, the tunnel
// end for tunnel), and silence when the link asks for their owner. It is pure.
//
// ARP: the kernel answers for any address it has, on whatever interface;
// arp_ignore=1 confines it to addresses of the interface asked, arp_announce=2
// keeps VIPs out of the requests it sends. Neighbour discovery for IPv6 is
// confined so by nature.
func RealServer(device string, vips ...netip.Addr) Want {
	want := Want{Up: []string{device}, Sysctl: Values{
		InterfaceKey("ipv4", "all", "arp_ignore"):   "1",
		InterfaceKey("ipv4", "all", "arp_announce"): "2",
	}}
	for _, vip := range vips {
		want.Addresses = append(want.Addresses, InterfaceAddress{Iface: device, Prefix: netip.PrefixFrom(vip, vip.BitLen())})
	}
	return want
}

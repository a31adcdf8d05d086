package pps

import (
	"context"
	"fmt"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/ipvs"
)

// contender is who forwards.
type contender struct {
	name string
	// serve is nil for the wire alone: the director's interface is the sink.
	serve  func(context.Context, peers.Service) (peers.Stop, error)
	routed bool // the VIP is the server's own, as the director's routes have it
	// method is what becomes of the packet: translated, or as it was. In a tunnel
	// it is behind outer bytes of headers.
	method packet.Method
	outer  int
}

const (
	aloneName    = "generator and sink alone"
	nftablesName = "nftables DNAT"
)

// bars are what EVS promises, by nftablesName.
var bars = map[string]float64{"EVS XDP DR": 4.5, "EVS XDP NAT": 4, "EVS tc NAT": 1.6}

// guePort is the one that Linux and ipvsadm are used to.
const guePort = 6080

// forwardings are those of EVS.
var forwardings = []struct {
	name   string
	of     ipvs.Destination
	method packet.Method
	outer  int
}{
	{"NAT", ipvs.Destination{Method: ipvs.Masquerade}, packet.Masq, 0},
	{"DR", ipvs.Destination{Method: ipvs.Route}, packet.Route, 0},
	{"ipip", ipvs.Destination{Method: ipvs.Tunnel}, packet.Route, 20},
	{"gue", ipvs.Destination{Method: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GUE, Port: guePort}}, packet.Route, 32},
	{"gre", ipvs.Destination{Method: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GRE}}, packet.Route, 24},
}

// contenders are all that is measured, for so many flows.
func contenders(flows int) []contender {
	all := []contender{
		{name: aloneName},
		{name: nftablesName, serve: peers.Nftables, method: packet.Masq},
		{name: "plain routing", serve: peers.Router, routed: true, method: packet.Route},
	}
	for _, mode := range []ipvs.AttachMode{ipvs.AttachXDP, ipvs.AttachTC} {
		for _, f := range forwardings {
			all = append(all, contender{
				name:   fmt.Sprintf("EVS %s %s", doors[mode], f.name),
				serve:  peers.EVS{Forwarding: f.of, Mode: mode, Conns: flows}.Serve,
				method: f.method,
				outer:  f.outer,
			})
		}
	}
	return all
}

var doors = map[ipvs.AttachMode]string{ipvs.AttachXDP: "XDP", ipvs.AttachTC: "tc"}

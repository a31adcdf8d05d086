package config

import (
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/ipvs"
)

// Desired is what a director's file wants. It is a plain value: Load has checked
// it, filled in what it leaves out, and given each destination what it inherits
// from its service and each service what it inherits from defaults, so whoever
// acts on it looks at the destination alone.
type Desired struct {
	Include    []string                   `json:"include" about:"further files, as if they stood here: conf.d/*.yaml; relative to this file"`
	Interfaces map[string]ipvs.AttachMode `json:"interfaces" one:"auto xdp tc off" about:"by which door packets of an interface come in: auto, xdp, tc or off; an interface that is not named is auto"`
	Settings   map[string]string          `json:"settings" about:"settings of net.ipv4.vs by name, with or without that prefix; see docs/sysctl.md. Better ones than the kernel's are switched on where nothing is said"`
	Timeouts   Timeouts                   `json:"timeouts" about:"timeouts of connections"`
	Marks      []Mark                     `json:"marks" about:"rules that give packets the firewall marks of services, see docs/marks.md"`
	API        API                        `json:"api" about:"how programs reach the director"`
	Defaults   Pool                       `json:"defaults" about:"what holds for all services that say nothing else"`
	Services   []Service                  `json:"services" about:"the virtual services"`

	// Files are those it was read from, in their order.
	Files []string `json:"-"`
}

// Timeouts are those of ipvsadm --set; zero leaves one as it is.
type Timeouts struct {
	TCP    time.Duration `json:"tcp" min:"0s" max:"596523h" about:"of established TCP connections; 0s leaves it as it is"`
	TCPFin time.Duration `json:"tcpfin" min:"0s" max:"596523h" about:"of TCP connections after a FIN; 0s leaves it as it is"`
	UDP    time.Duration `json:"udp" min:"0s" max:"596523h" about:"of UDP flows; 0s leaves it as it is"`
}

// Mark is a rule of marks, in the words of evs mark.
type Mark struct {
	Destination string   `json:"destination" about:"packets to this address or prefix; 0.0.0.0/0 or ::/0 for all"`
	Source      string   `json:"source" about:"packets from this address or prefix alone"`
	Protocol    string   `json:"protocol" about:"packets of this protocol alone: tcp, udp, sctp, or a number; all if left out"`
	Ports       []string `json:"ports" about:"packets to these ports and ranges alone: 80, 8000-8080; all if left out"`
	Mark        string   `json:"mark" about:"the firewall mark that they get"`

	Rule ipvs.MarkRule `json:"-"` // the same, read
}

// API is how programs reach the director.
type API struct {
	Socket string `json:"socket" default:"/run/evs/director.sock" about:"the Unix socket"`
	Group  string `json:"group" about:"the group that may read through the socket; root alone if left out"`
	// Listen is not valid if there is no such door.
	Listen netip.AddrPort `json:"listen" about:"address of a TLS listener for machines elsewhere; none if left out"`
	TLS    ServerTLS      `json:"tls" about:"certificates of that listener"`
}

// ServerTLS are the files of a listener that knows its clients by certificate.
type ServerTLS struct {
	Certificate string `json:"certificate" about:"file of the listener's certificate, PEM"`
	Key         string `json:"key" about:"file of its key, PEM"`
	ClientCA    string `json:"clientCA" about:"file of the authorities whose certificates clients need, PEM"`
	// Writers are common names, or DNS names.
	Writers []string `json:"writers" about:"names in the certificates of those clients that may change something; the others may read"`
}

// Service is a virtual service, or several that share their servers: one for each
// address and mark that it names. Their health is one.
type Service struct {
	Name   string           `json:"name" about:"what the service is called in listings and messages; its first address if left out"`
	TCP    []netip.AddrPort `json:"tcp" about:"TCP at this address and port, or these; port 0 takes every port and needs persistence"`
	UDP    []netip.AddrPort `json:"udp" about:"UDP at this address and port, or these"`
	SCTP   []netip.AddrPort `json:"sctp" about:"SCTP at this address and port, or these"`
	FWMark []uint32         `json:"fwmark" min:"1" about:"packets with this firewall mark, or these"`
	Family Family           `json:"family" default:"ipv4" about:"with fwmark: of packets of ipv4, ipv6"`
	Pool   `json:",inline"`
	// Destinations are in the order in which they are added to the table.
	Destinations []Destination `json:"destinations" about:"the real servers"`
	Discovery    []Discovery   `json:"discovery" about:"where further destinations are found; they have what the service says of its servers"`
}

// Pool is what services can have in common.
type Pool struct {
	Scheduler      Scheduler    `json:"scheduler" default:"wlc" about:"how servers are chosen, see docs/schedulers"`
	SchedulerFlags []string     `json:"schedulerFlags" about:"options of the scheduler: sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3"`
	Persistence    *Persistence `json:"persistence" about:"a client keeps its server"`
	OnePacket      bool         `json:"onePacket" default:"false" about:"schedule each UDP packet on its own (--ops)"`

	// Quorum to SorryServer are health.Decide's.
	Quorum      int    `json:"quorum" default:"1" min:"1" about:"sum of the weights of servers that are up, below which the service is down"`
	Hysteresis  int    `json:"hysteresis" default:"0" min:"0" about:"the service goes down below quorum less this, and comes up at quorum plus this"`
	QuorumUp    *Hook  `json:"quorumUp" about:"program to run when the service comes up"`
	QuorumDown  *Hook  `json:"quorumDown" about:"program to run when the service goes down"`
	SorryServer *Sorry `json:"sorryServer" about:"takes the place of all servers while the service is down"`
	FailOpen    bool   `json:"failOpen" default:"false" about:"if every server is down, use all of them: a check may be wrong, an empty pool certainly is"`
	// Outlier is nil if nobody looks at what the data path sees of servers.
	Outlier *Outlier `json:"outlier" about:"of TCP: a server that fails its clients, as the data path sees it, is left out for a while; see docs/checks.md. {} for the defaults"`

	Server `json:",inline"`
}

// Persistence keeps clients to their servers.
type Persistence struct {
	Timeout time.Duration `json:"timeout" default:"360s" min:"0s" max:"744h" about:"for how long after its last connection; 0s for no persistence"`
	Netmask string        `json:"netmask" about:"clients that agree in these bits are one: 255.255.255.0, /24, or /64 for IPv6; all bits if left out"`
	Engine  Engine        `json:"engine" about:"tells clients by what their packets say: sip (--pe)"`
}

// Server is what destinations have, each its own or from its service.
type Server struct {
	Method         Method        `json:"method" default:"route" about:"how packets reach the server: masq, route, tunnel"`
	Tunnel         Tunnel        `json:"tunnel" about:"the encapsulation of method tunnel"`
	Weight         int32         `json:"weight" default:"1" min:"0" about:"share of new connections; 0 takes none"`
	UpperThreshold uint32        `json:"upperThreshold" default:"0" max:"2147483647" about:"no new connections from this many on; 0 for no limit"`
	LowerThreshold uint32        `json:"lowerThreshold" default:"0" max:"2147483647" about:"new connections again below this many; 0 for three quarters of upperThreshold"`
	Check          []health.Spec `json:"check" about:"how it is told whether the server is well; a list if there are several, which must all succeed; without one it is taken to be"`
	Inhibit        bool          `json:"inhibitOnFailure" default:"false" about:"a server that fails stays in the table with weight 0; else it is removed"`
	NotifyUp       *Hook         `json:"notifyUp" about:"program to run when the server comes up"`
	NotifyDown     *Hook         `json:"notifyDown" about:"program to run when the server goes down"`
	SlowStart      time.Duration `json:"slowStart" default:"0s" min:"0s" max:"24h" about:"a server that comes up gets its weight little by little within this time"`
	Drain          Drain         `json:"drain" about:"how it is drained"`
	WeightSource   *WeightSource `json:"weightSource" about:"what its weight follows; without one it is as configured"`

	// Places are where each check stands, for those who find later that it cannot be made.
	Places []document.Place `json:"-"`
}

// Destination is a real server of a service.
type Destination struct {
	// Address has port 0 where the file leaves the port out: it is the service's.
	Address Endpoint `json:"server" about:"the real server, as 192.0.2.2:8080; without a port the service's"`
	Server  `json:",inline"`
}

// Tunnel is an encapsulation.
type Tunnel struct {
	Type     string `json:"type" default:"ipip" one:"ipip gue gre" about:"ipip, gue or gre"`
	Port     uint16 `json:"port" default:"0" about:"UDP port of gue, often 6080"`
	Checksum string `json:"checksum" default:"none" one:"none csum remcsum" about:"checksum of gue and gre: none, csum; remcsum with gue"`
}

// Sorry is a server of last resort.
type Sorry struct {
	Address Endpoint `json:"server" about:"the server, as 192.0.2.2:8080; without a port the service's"`
	Method  Method   `json:"method" inherits:"the service" about:"how packets reach it: masq, route, tunnel"`
	Tunnel  *Tunnel  `json:"tunnel" inherits:"the service" about:"the encapsulation of method tunnel"`
	Weight  int32    `json:"weight" default:"1" min:"1" about:"its weight"`
	Inhibit bool     `json:"inhibit" default:"false" about:"it is in the table at all times, with weight 0 while it is not needed"`
}

// Hook is a program to run. It is not run through a shell.
type Hook struct {
	Command []string      `json:"command" about:"the program and its arguments"`
	User    string        `json:"user" about:"who runs it, as USER or USER:GROUP; the director's user if left out"`
	Timeout time.Duration `json:"timeout" default:"30s" min:"100ms" about:"it is ended after this time"`
}

package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/datapath"
)

// How nouns become records and records nouns. Ports and IPv4 masks are in
// network order in records.

func swap16(v uint16) uint16 { return bits.ReverseBytes16(v) }

func addrRecord(a netip.Addr) (out datapath.Addr) {
	copy(out[:], a.AsSlice())
	return out
}

func addrOf(b datapath.Addr, family uint8) netip.Addr {
	if family == datapath.FamilyV6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func familyRecord(f Family) uint8 {
	if f == IPv6 {
		return datapath.FamilyV6
	}
	return datapath.FamilyV4
}

func familyOf(f uint8) Family {
	if f == datapath.FamilyV6 {
		return IPv6
	}
	return IPv4
}

func keyRecord(k ServiceKey) (id datapath.ServiceID) {
	id.Family = familyRecord(k.Family)
	if k.FWMark != 0 {
		id.Fwmark = k.FWMark
		return id
	}
	id.Family = familyRecord(FamilyOf(k.Addr.Addr()))
	id.Addr.B = addrRecord(k.Addr.Addr())
	id.Port = swap16(k.Addr.Port())
	id.Proto = uint8(k.Protocol)
	return id
}

func keyOf(id datapath.ServiceID) ServiceKey {
	if id.Fwmark != 0 {
		return ServiceMark(id.Fwmark, familyOf(id.Family))
	}
	return ServiceAt(Protocol(id.Proto), netip.AddrPortFrom(addrOf(id.Addr.B, id.Family), swap16(id.Port)))
}

func setName(to []int8, name string) {
	for i := range min(len(to), len(name)) {
		to[i] = int8(name[i])
	}
}

func nameOf(from []int8) string {
	var b strings.Builder
	for _, c := range from {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

func versionRecord(s Service) datapath.Version {
	v := datapath.Version{
		Sched:      datapath.Schedulers[s.Scheduler],
		SchedFlags: uint8(s.SchedFlags),
		Timeout:    s.Timeout,
		PrefixLen:  uint8(MaskLen(s.Mask)),
	}
	if s.Mask.Is4() {
		m := s.Mask.As4()
		v.Mask = uint32(m[0]) | uint32(m[1])<<8 | uint32(m[2])<<16 | uint32(m[3])<<24
	}
	if s.Persistent {
		v.Flags |= datapath.Persistent
	}
	if s.OnePacket {
		v.Flags |= datapath.OnePacket
	}
	setName(v.SchedName[:], s.Scheduler)
	setName(v.Engine[:], s.Engine)
	return v
}

func serviceOf(l datapath.Live) Service {
	v := l.Version
	s := Service{
		ServiceKey: keyOf(l.ID),
		Scheduler:  nameOf(v.SchedName[:]),
		SchedFlags: SchedFlags(v.SchedFlags),
		Persistent: v.Flags&datapath.Persistent != 0,
		OnePacket:  v.Flags&datapath.OnePacket != 0,
		Timeout:    v.Timeout,
		Engine:     nameOf(v.Engine[:]),
	}
	if s.Family == IPv6 {
		s.Mask = MaskOf(int(v.PrefixLen), IPv6)
	} else {
		m := v.Mask
		s.Mask = netip.AddrFrom4([4]byte{byte(m), byte(m >> 8), byte(m >> 16), byte(m >> 24)})
	}
	return s
}

// dstRecord is the identity of a destination and what its packets need on the
// way: which address of the director a tunnel begins at, and whether the server
// is the director itself.
func dstRecord(d Destination, w way) (r datapath.Dst) {
	r.Addr.B = addrRecord(d.Addr.Addr())
	r.Family = familyRecord(FamilyOf(d.Addr.Addr()))
	r.Port = swap16(d.Addr.Port())
	r.Tunnel, r.TunnelFlags, r.TunnelPort = uint8(d.Tunnel.Type), uint8(d.Tunnel.Flags), swap16(d.Tunnel.Port)
	if w.local {
		r.Flags = datapath.DstLocal
	}
	if w.source.IsValid() {
		r.Source.B = addrRecord(w.source)
	}
	return r
}

func entryRecord(d Destination) datapath.Entry {
	return datapath.Entry{
		Weight: uint32(d.Weight), Upper: d.Upper, Lower: d.Lower,
		Method: uint8(d.Method), Tunnel: uint8(d.Tunnel.Type),
		TunnelFlags: uint8(d.Tunnel.Flags), TunnelPort: swap16(d.Tunnel.Port),
	}
}

func destinationOf(d datapath.Dst, e datapath.Entry) Destination {
	return Destination{
		Addr: addrPort(d), Method: Method(e.Method), Weight: int32(e.Weight),
		Upper: e.Upper, Lower: e.Lower,
		Tunnel: TunnelOptions{Type: TunnelType(e.Tunnel), Port: swap16(e.TunnelPort), Flags: TunnelFlags(e.TunnelFlags)},
	}
}

func statsOf(c datapath.Counts) Stats {
	return Stats{Connections: c[0], InPackets: c[1], OutPackets: c[2], InBytes: c[3], OutBytes: c[4]}
}

func (s Stats) add(o Stats) Stats {
	return Stats{
		Connections: s.Connections + o.Connections,
		InPackets:   s.InPackets + o.InPackets, OutPackets: s.OutPackets + o.OutPackets,
		InBytes: s.InBytes + o.InBytes, OutBytes: s.OutBytes + o.OutBytes,
	}
}

// stateAssured is that of a template one of whose connections was answered.
const stateAssured = "ASSURED"

// templateOf reads a persistence template. Its VIP is that of the service, or where
// it has none the mark; what it keeps of ports is whether the service has one.
func templateOf(c datapath.ConnRecord) Conn {
	port := uint16(0)
	if c.Vport != 0 {
		port = c.Dst.Port
	}
	if c.Flags&datapath.ConnRetired == datapath.ConnRetired {
		c.Vport, port = 0xffff, 0xffff
	}
	out := Conn{
		Template:    true,
		Protocol:    Protocol(c.Proto &^ datapath.Template),
		Client:      netip.AddrPortFrom(addrOf(c.Client, c.Family), 0),
		Virtual:     netip.AddrPortFrom(addrOf(c.Virtual, c.Family), swap16(c.Vport)),
		Destination: netip.AddrPortFrom(addrOf(c.Dst.Addr.B, c.Dst.Family), swap16(port)),
		State:       "NONE",
		Expires:     c.Left,
	}
	if out.Protocol == 0 {
		out.FWMark = binary.BigEndian.Uint32(c.Virtual[:])
	}
	if c.CallID != "" {
		out.Engine, out.EngineData = "sip", c.CallID
	}
	if c.State&datapath.TemplateAssured != 0 {
		out.State = stateAssured
	}
	return out
}

func connOf(c datapath.ConnRecord) Conn {
	if c.Proto&datapath.Template != 0 {
		return templateOf(c)
	}
	dst, method := addrPort(c.Dst), Method(c.Flags/datapath.ConnMethod&3)
	if c.Dst.Flags&datapath.DstBypass != 0 {
		method = Bypass // to no address
	} else if dst.Port() == 0 || c.Flags&datapath.ConnSamePort != 0 {
		dst = netip.AddrPortFrom(dst.Addr(), swap16(c.Vport))
	}
	return Conn{
		Protocol:    Protocol(c.Proto),
		Client:      netip.AddrPortFrom(addrOf(c.Client, c.Family), swap16(c.Cport)),
		Virtual:     netip.AddrPortFrom(addrOf(c.Virtual, c.Family), swap16(c.Vport)),
		Destination: dst,
		Method:      method,
		State:       datapath.StateNames[c.ConnState()],
		Expires:     c.Left,
		Probe:       c.Nexthop == datapath.NexthopProbe,
	}
}

// roles are the names of the daemons, in the order of their records.
var roles = [...]string{datapath.SyncMaster: Master, datapath.SyncBackup: Backup}

func daemonRecord(d Daemon) (r datapath.Daemon) {
	r.Group.B, r.Family = addrRecord(d.Group), familyRecord(FamilyOf(d.Group))
	r.MaxLen, r.Port, r.SyncId, r.Ttl, r.Running = d.MaxLen, d.Port, d.SyncID, d.TTL, 1
	setName(r.Interface[:len(r.Interface)-1], d.Interface)
	return r
}

func daemonOf(role string, r datapath.Daemon) Daemon {
	return Daemon{
		Role: role, Interface: nameOf(r.Interface[:]), SyncID: r.SyncId, MaxLen: r.MaxLen,
		Group: addrOf(r.Group.B, r.Family), Port: r.Port, TTL: r.Ttl,
	}
}

// way is what the routing table says of an address; the zero value where there
// is no way yet.
type way struct {
	source    netip.Addr // of the director, for packets that go there
	local     bool       // it is one of the director's own
	broadcast bool       // it is that of all hosts of a network here
}

// wayTo asks the kernel.
func wayTo(a netip.Addr) way {
	routes, err := netlink.RouteGet(net.IP(a.AsSlice()))
	if err != nil || len(routes) == 0 {
		return way{}
	}
	source, _ := netip.AddrFromSlice(routes[0].Src)
	return way{
		source: source.Unmap(),
		local:  routes[0].Type == unix.RTN_LOCAL, broadcast: routes[0].Type == unix.RTN_BROADCAST,
	}
}

// check reports, wrapping ErrInvalid, the way to a broadcast address a.
func (w way) check(a netip.Addr) error {
	if w.broadcast {
		return fmt.Errorf("%w: %s is a broadcast address of this host", ErrInvalid, a)
	}
	return nil
}

// ways remembers the ways to addresses, so that each is asked for once.
type ways map[netip.Addr]way

func (ws ways) to(a netip.Addr) way {
	w, known := ws[a]
	if !known {
		w = wayTo(a)
		ws[a] = w
	}
	return w
}

// translate gives the data path's errors the names of this package.
func translate(err error) error {
	for from, to := range map[error]error{
		datapath.ErrPermission:  ErrPermission,
		datapath.ErrBusy:        ErrBusy,
		datapath.ErrFull:        ErrNoSpace,
		datapath.ErrUnsupported: ErrUnsupported,
		datapath.ErrNoTable:     ErrNoTable,
		datapath.ErrLayout:      ErrLayout,
	} {
		if errors.Is(err, from) {
			return verdict{is: to, why: err}
		}
	}
	return err
}

// verdict is one of this package's errors in the words of the data path, which
// say the same with the particulars and the remedy.
type verdict struct{ is, why error }

func (v verdict) Error() string   { return v.why.Error() }
func (v verdict) Unwrap() []error { return []error{v.is, v.why} }

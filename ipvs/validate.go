package ipvs

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/sched"
)

// Engines are the persistence engines a service can have.
var Engines = []string{"sip"}

// Validate reports whether s could be a service of any table. What fails wraps
// ErrNoScheduler or ErrInvalid, and is checked in the kernel's order. Defaults
// may be left out.
//
// One check is stricter than the kernel's, which takes port 0 without
// persistence and then refuses every packet of the service.
func (s Service) Validate() error {
	s = s.WithDefaults()
	if s.Scheduler != sched.None && !slices.Contains(sched.Names(), s.Scheduler) {
		return fmt.Errorf("%w: scheduler %q", ErrNoScheduler, s.Scheduler)
	}
	if s.Engine != "" && !slices.Contains(Engines, s.Engine) {
		return fmt.Errorf("%w: persistence engine %q", ErrNoScheduler, s.Engine)
	}
	if FamilyOf(s.Mask) != s.Family || !validMask(s.Mask) {
		return fmt.Errorf("%w: netmask %s: want an IPv4 mask, or an IPv6 prefix of 1 to 128 bits", ErrInvalid, s.Mask)
	}
	if s.FWMark != 0 {
		return nil
	}
	switch {
	case !s.Addr.Addr().IsValid():
		return fmt.Errorf("%w: the service has neither an address nor a firewall mark", ErrInvalid)
	case s.Protocol != TCP && s.Protocol != UDP && s.Protocol != SCTP:
		return fmt.Errorf("%w: %s: want tcp, udp or sctp", ErrInvalid, s.Protocol)
	case s.Addr.Port() == 0 && !s.Persistent:
		return fmt.Errorf("%w: port 0 needs a persistent service", ErrInvalid)
	}
	return nil
}

// validMask accepts what the kernel accepts: any IPv4 mask, and IPv6 prefixes.
func validMask(mask netip.Addr) bool {
	if mask.Is4() {
		return true
	}
	n := MaskLen(mask)
	return n > 0 && mask == MaskOf(n, IPv6)
}

// Validate reports whether d could be a destination of s, new or edited. What
// fails wraps ErrInvalid or ErrRange, in the kernel's order. It leaves out the
// address, which the kernel looks at only when a destination is new and known
// not to exist: see CheckAddr.
func (d Destination) Validate(s Service) error {
	s = s.WithDefaults()
	switch {
	case !d.Addr.Addr().IsValid():
		return fmt.Errorf("%w: the destination has no address", ErrInvalid)
	case FamilyOf(d.Addr.Addr()) != s.Family && d.Method != Tunnel:
		return fmt.Errorf("%w: %s: an address of another family than the service's needs the tunnel method", ErrInvalid, d.Addr)
	case d.Weight < 0:
		return fmt.Errorf("%w: weight %d is negative", ErrRange, d.Weight)
	case d.Lower > d.Upper:
		return fmt.Errorf("%w: lower threshold %d is above the upper threshold %d", ErrRange, d.Lower, d.Upper)
	case d.Tunnel.Type == GUE && d.Tunnel.Port == 0:
		return fmt.Errorf("%w: a gue tunnel needs a port", ErrInvalid)
	}
	return nil
}

// CheckAddr reports, wrapping ErrInvalid, an address that no single server can
// have: unspecified, broadcast, multicast, link-local. The broadcast addresses
// of the director's own networks are for the caller to know.
func (d Destination) CheckAddr() error {
	a := d.Addr.Addr()
	ok := !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if a.Is6() {
		ok = ok && !a.IsLinkLocalUnicast() && !a.Is4In6()
	}
	if !ok {
		return fmt.Errorf("%w: %s is not the address of one server", ErrInvalid, a)
	}
	return nil
}

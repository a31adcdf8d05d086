package ipvs

import (
	"fmt"
	"net/netip"
)

// The two roles of a synchronisation daemon. A director may have both.
const (
	Master = "master"
	Backup = "backup"
)

// Validate reports, wrapping ErrInvalid, a role or a group that no daemon can
// have.
func (d Daemon) Validate() error {
	if d.Role != Master && d.Role != Backup {
		return fmt.Errorf("%w: role %q: want master or backup", ErrInvalid, d.Role)
	}
	if d.Group.IsValid() && !d.Group.IsMulticast() {
		return fmt.Errorf("%w: group %s: want a multicast address", ErrInvalid, d.Group)
	}
	return nil
}

// WithDefaults fills in what is zero and bounds the message size, as the kernel
// does for a daemon on an interface of that MTU: a master keeps to the MTU of
// Ethernet, and a backup receives what any master might send.
func (d Daemon) WithDefaults(mtu int) Daemon {
	if !d.Group.IsValid() {
		d.Group = netip.AddrFrom4([4]byte{224, 0, 0, 81})
	}
	if d.Port == 0 {
		d.Port = 8848
	}
	if d.TTL == 0 {
		d.TTL = 1
	}
	headers := 20 + 8
	if d.Group.Is6() {
		headers = 40 + 8
	}
	least, usual := 1, 1500
	if d.Role == Backup {
		least, usual = 1024, min(max(mtu, 1500), 65535)
	}
	length := int(d.MaxLen)
	if length == 0 {
		length = usual - headers
	}
	d.MaxLen = uint16(min(max(length, least), 65535-headers))
	return d
}

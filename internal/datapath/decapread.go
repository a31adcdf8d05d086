package datapath

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
)

// ReasonCount is how often something became of a packet.
type ReasonCount struct {
	Reason
	Count uint64
}

// DecapReasons explains every row of enum decap_reason, in the enum's order.
var DecapReasons = []Reason{
	{"ipip", "packets taken out of IP in IP"},
	{"gue", "packets taken out of GUE"},
	{"gre", "packets taken out of GRE"},
	{"foreign", "packets in tunnels left to the kernel: not for a VIP of this server"},
	{"fragment", "packets in tunnels left to the kernel: the outer packet was cut into pieces; raise the MTU between director and server, or use the kernel's device"},
	{"checksum", "packets dropped: the checksum of the outer header is wrong"},
	{"malformed", "packets dropped: not as long as they say, or not what they say"},
	{"gre_key", "GRE packets dropped: with a key or sequence number"},
	{"gue_version", "GUE packets dropped: not of variant 0"},
	{"gue_control", "GUE packets dropped: a control message"},
	{"gue_flags", "GUE packets dropped: with extensions other than remote checksum offload"},
	{"gue_protocol", "GUE packets dropped: neither IPv4 nor IPv6 inside"},
	{"gue_remcsum", "GUE packets dropped: the remote checksum cannot be made"},
	{"congestion", "packets dropped: the outer header is marked as congested, and what is inside does not understand such marks"},
	{"failed", "packets dropped: could not be taken out"},
}

// ReadDecap returns this namespace's decapsulator, or ErrNoDecap; so also where
// the kernel cannot have one.
func ReadDecap() (Decap, error) {
	if os.Geteuid() != 0 {
		return Decap{}, ErrPermission
	}
	if _, err := bpffs(); err != nil {
		return Decap{}, fmt.Errorf("%w: %w", ErrNoDecap, err) // nor can there be one
	}
	p, err := here()
	if err != nil {
		return Decap{}, err
	}
	return readDecap(p.decap())
}

func readDecap(dir string) (d Decap, err error) {
	if !exists(filepath.Join(dir, decapMapDecapConfMap)) {
		return d, ErrNoDecap
	}
	if err := d.readConf(dir); err != nil {
		return d, err
	}
	if err := d.readAddrs(dir); err != nil {
		return d, err
	}
	if err := d.readCounters(dir); err != nil {
		return d, err
	}
	present, err := interfaces()
	if err != nil {
		return d, err
	}
	a := decapAttacher(dir)
	for _, f := range present {
		mode, doors := d.Mode, a.doors(f)
		if len(doors) == 0 {
			mode = ModeOff
		}
		d.Attachments = append(d.Attachments, Attachment{
			Interface: f.Name, Index: f.Index, Mode: mode, Doors: doors, Reason: choose(f, mode).Reason,
		})
	}
	return d, nil
}

func (d *Decap) readConf(dir string) error {
	m, err := decapMap(dir, decapMapDecapConfMap)
	if err != nil {
		return err
	}
	defer m.Close()
	var conf decapDecapConf
	if err := m.Lookup(uint32(0), &conf); err != nil {
		return fmt.Errorf("settings of the decapsulator: %w", err)
	}
	if conf.Abi != uint32(decapDecapAbiDECAP_ABI_VERSION) {
		return fmt.Errorf("decapsulator: %w", ErrLayout)
	}
	d.Port, d.Mode = networkOrder(conf.Port), Mode(conf.Mode)
	d.MSS4, d.MSS6 = conf.Mss4, conf.Mss6
	for _, k := range DecapKinds {
		if conf.Kinds&k.bit != 0 {
			d.Kinds = append(d.Kinds, k.Name)
		}
	}
	return nil
}

func (d *Decap) readAddrs(dir string) error {
	m, err := decapMap(dir, decapMapDecapAddrMap)
	if err != nil {
		return err
	}
	defer m.Close()
	all, err := readDecapAddrs(m)
	if err != nil {
		return err
	}
	for k, roles := range all {
		if roles&uint32(decapDecapRoleDECAP_VIP) != 0 {
			d.VIPs = append(d.VIPs, k.address())
		}
		if roles&uint32(decapDecapRoleDECAP_LOCAL) != 0 {
			d.Locals = append(d.Locals, k.address())
		}
	}
	slices.SortFunc(d.VIPs, netip.Addr.Compare)
	slices.SortFunc(d.Locals, netip.Addr.Compare)
	return nil
}

func (d *Decap) readCounters(dir string) error {
	m, err := decapMap(dir, decapMapDecapCountMap)
	if err != nil {
		return err
	}
	defer m.Close()
	var rows []decapDecapCounters
	if err := m.Lookup(uint32(0), &rows); err != nil {
		return fmt.Errorf("counters of the decapsulator: %w", err)
	}
	for i, reason := range DecapReasons {
		c := ReasonCount{Reason: reason}
		for _, row := range rows {
			c.Count += row.Count[i]
		}
		if c.Count > 0 {
			d.Counters = append(d.Counters, c)
		}
	}
	return nil
}

// RemoveDecap takes the decapsulator of this namespace away, and reports whether
// there was one.
func RemoveDecap(ctx context.Context) (bool, error) {
	p, l, err := lockHere(ctx)
	if err != nil {
		return false, err
	}
	defer l.release()
	had := exists(p.decap())
	return had, errors.Join(dropDecap(p), p.leave())
}

// dropDecap detaches and unpins; what is not there is gone already.
func dropDecap(p place) error {
	return errors.Join(decapAttacher(p.decap()).detach(), removePins(p.decap()))
}

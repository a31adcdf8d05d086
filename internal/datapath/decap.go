package datapath

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// ErrNoDecap means that this network namespace has no decapsulator.
var ErrNoDecap = errors.New("no decapsulator in this network namespace")

// DecapConfig says what the real server's decapsulator takes out of tunnels: a
// packet for one of VIPs, in an outer packet for one of Locals, of one of Kinds.
type DecapConfig struct {
	Kinds []string // of DecapKinds
	Port  uint16   // of GUE
	VIPs  []netip.Addr
	// Locals are the host's own addresses.
	Locals []netip.Addr
	// Mode is the door it is attached by.
	Mode Mode
	// MSS4 and MSS6 are the largest segments that clients of a VIP are told to
	// send, 0 as large as the host says.
	MSS4, MSS6 uint16
}

// DecapKinds are the kinds of tunnel, by the names ipvsadm gives them.
var DecapKinds = []struct {
	Name string
	bit  uint8
}{
	{"ipip", uint8(decapDecapKindDECAP_IPIP)},
	{"gue", uint8(decapDecapKindDECAP_GUE)},
	{"gre", uint8(decapDecapKindDECAP_GRE)},
}

// Decap is the decapsulator as it is found.
type Decap struct {
	DecapConfig
	// Attachments are the state of every Ethernet interface.
	Attachments []Attachment
	// Counters say what became of packets in tunnels, those never counted left out.
	Counters []ReasonCount
}

// decapAttacher attaches the decapsulator pinned in dir. Nothing is redirected
// to it, so it keeps no list of ports.
func decapAttacher(dir string) attacher {
	return attacher{
		dir: dir,
		tc: []door{
			{name: "tc", program: decapProgEvsDecapTc, attach: attachTC, parent: netlink.HANDLE_MIN_INGRESS},
			{name: "out", program: decapProgEvsAnnounce, attach: attachOut, parent: netlink.HANDLE_MIN_EGRESS},
		},
		xdp:    door{name: "xdp", program: decapProgEvsDecapXdp, attach: attachXDP},
		clsact: 0xe6,
	}
}

// SetDecap brings this namespace's decapsulator to what c says, on the
// interfaces named, or without names on every Ethernet interface there is. If
// it fails, all is as before.
func SetDecap(ctx context.Context, c DecapConfig, names []string) error {
	present, err := interfaces()
	if err != nil {
		return err
	}
	if err := checkNames(names, present); err != nil {
		return err
	}
	p, l, err := lockHere(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	before, err := readDecap(p.decap())
	switch {
	case errors.Is(err, ErrNoDecap):
		return makeDecap(p, c, names, present)
	case errors.Is(err, ErrLayout):
		return errors.Join(dropDecap(p), makeDecap(p, c, names, present))
	case err != nil:
		return err
	}
	err = changeDecap(p.decap(), c, names, present)
	if err == nil {
		return nil
	}
	had := attachedNames(before.Attachments)
	return errors.Join(err, changeDecap(p.decap(), before.DecapConfig, had, present))
}

func attachedNames(all []Attachment) (names []string) {
	for _, a := range all {
		if len(a.Doors) > 0 {
			names = append(names, a.Interface)
		}
	}
	return names
}

// makeDecap loads, pins and attaches a new one, and leaves nothing if it fails.
func makeDecap(p place, c DecapConfig, names []string, present []facts) error {
	err := checkHost()
	if err == nil {
		err = buildDecap(p.decap())
	}
	if err == nil {
		err = changeDecap(p.decap(), c, names, present)
	}
	if err != nil {
		return errors.Join(err, dropDecap(p), p.leave())
	}
	return nil
}

// buildDecap loads the programs and pins them with their maps.
func buildDecap(dir string) error {
	if err := removePins(dir); err != nil { // of a creation that was killed
		return err
	}
	if err := found(dir); err != nil {
		return err
	}
	spec, err := loadDecap()
	if err != nil {
		return fmt.Errorf("compiled decapsulator: %w", err)
	}
	return pinAll([]*ebpf.CollectionSpec{spec}, nil, dir)
}

// changeDecap writes the addresses before the kinds, so that the programs begin
// to act when all is known, and attaches.
func changeDecap(dir string, c DecapConfig, names []string, present []facts) error {
	if err := writeDecapAddrs(dir, c); err != nil {
		return err
	}
	if err := writeDecapConf(dir, c); err != nil {
		return err
	}
	a := decapAttacher(dir)
	if err := a.dropStale(present); err != nil {
		return err
	}
	for _, f := range present {
		mode := c.Mode
		if len(names) > 0 && !slices.Contains(names, f.Name) {
			mode = ModeOff
		}
		if err := a.set(f, mode, true); err != nil {
			return err
		}
	}
	return nil
}

func decapMap(dir, name string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoDecap
	}
	if err != nil {
		return nil, fmt.Errorf("decapsulator: %w", err)
	}
	return m, nil
}

func writeDecapConf(dir string, c DecapConfig) error {
	m, err := decapMap(dir, decapMapDecapConfMap)
	if err != nil {
		return err
	}
	defer m.Close()
	conf := decapDecapConf{Abi: uint32(decapDecapAbiDECAP_ABI_VERSION), Port: networkOrder(c.Port), Mode: uint8(c.Mode), Mss4: c.MSS4, Mss6: c.MSS6}
	for _, k := range DecapKinds {
		if slices.Contains(c.Kinds, k.Name) {
			conf.Kinds |= k.bit
		}
	}
	if err := m.Put(uint32(0), conf); err != nil {
		return fmt.Errorf("settings of the decapsulator: %w", err)
	}
	return nil
}

// networkOrder is a port as it lies in a packet, and back.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

func decapKey(a netip.Addr) (k decapDecapKey) {
	k.Family = uint32(FamilyV4)
	if a.Is6() {
		k.Family = uint32(FamilyV6)
	}
	for i, b := 0, a.AsSlice(); len(b) >= 4; i, b = i+1, b[4:] {
		k.Addr[i] = binary.NativeEndian.Uint32(b)
	}
	return k
}

func (k decapDecapKey) address() netip.Addr {
	var b []byte
	for _, word := range k.Addr {
		b = binary.NativeEndian.AppendUint32(b, word)
	}
	if k.Family == uint32(FamilyV4) {
		b = b[:4]
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// writeDecapAddrs adds what is missing, then removes what is too many.
func writeDecapAddrs(dir string, c DecapConfig) error {
	m, err := decapMap(dir, decapMapDecapAddrMap)
	if err != nil {
		return err
	}
	defer m.Close()
	want := map[decapDecapKey]uint32{}
	for _, a := range c.VIPs {
		want[decapKey(a)] |= uint32(decapDecapRoleDECAP_VIP)
	}
	for _, a := range c.Locals {
		want[decapKey(a)] |= uint32(decapDecapRoleDECAP_LOCAL)
	}
	have, err := readDecapAddrs(m)
	if err != nil {
		return err
	}
	for k, roles := range want {
		if err := m.Put(k, roles); err != nil {
			return fmt.Errorf("address %s in the decapsulator: %w", k.address(), err)
		}
	}
	for k := range have {
		if want[k] != 0 {
			continue
		}
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("address %s in the decapsulator: %w", k.address(), err)
		}
	}
	return nil
}

func readDecapAddrs(m *ebpf.Map) (map[decapDecapKey]uint32, error) {
	all := map[decapDecapKey]uint32{}
	var key decapDecapKey
	var roles uint32
	it := m.Iterate()
	for it.Next(&key, &roles) {
		all[key] = roles
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("addresses of the decapsulator: %w", err)
	}
	return all, nil
}

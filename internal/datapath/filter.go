package datapath

import (
	"encoding/binary"
	"time"
)

// filterHash is that of filter.h: the words of an address together, multiplied,
// the top 13 bits. Of an IPv4 address all words but the first are zero.
func filterHash(addr Addr) int {
	var word uint32
	for i := 0; i < len(addr); i += 4 {
		word ^= binary.LittleEndian.Uint32(addr[i:])
	}
	return int(word * 0x9e3779b1 >> 19)
}

func (f *controlFilter) addVIP(id ServiceID) {
	if id.Fwmark != 0 {
		family := 0
		if id.Family == FamilyV6 {
			family = 1
		}
		f.Any[family] |= filterVIP
		return
	}
	f.Bits[filterHash(id.Addr.B)] |= filterVIP
}

// become writes no byte that stays as it is: packets read them meanwhile.
func (f *controlFilter) become(want *controlFilter) {
	f.Any = want.Any
	for i := range f.Bits {
		if f.Bits[i] != want.Bits[i] {
			f.Bits[i] = want.Bits[i]
		}
	}
}

func (f *controlFilter) forgetVIPs() {
	clear(f.Any[:])
	for i := range f.Bits {
		f.Bits[i] &^= filterVIP
	}
}

func (f *controlFilter) addRIP(d *Dst) { f.Bits[filterHash(d.Addr.B)] |= filterRIP }

// addVIP has packets to a service looked at, unless the director sleeps.
func (t *Table) addVIP(id ServiceID) {
	if !t.sleeps() {
		t.filter.elems[0].addVIP(id)
	}
}

// sleeps reports whether the director leaves packets from clients alone: it is the
// backup of another, and backup_only asks for it. What servers answer it goes on to
// translate.
func (t *Table) sleeps() bool {
	s := t.Settings()
	return s.Sysctl[controlSysctlSYSCTL_BACKUP_ONLY] != 0 && s.Daemon[SyncBackup].Running != 0
}

// addRIP leaves out a server behind a tunnel of a family that sleeps; an edit of several
// services, which may wake it, leaves that to its end.
func (t *Table) addRIP(d *Dst) {
	if t.joint != nil || t.prepared().live[d.Family] > 0 {
		t.filter.elems[0].addRIP(d)
	}
}

// filterPause is how long the filter may keep addresses that nothing needs any
// more. They do no harm: their packets are looked at and found foreign.
const filterPause = time.Second

// Refilter takes out of the filter the addresses that nothing needs any more:
// no live service, no destination of one, no connection. Without a service of
// their family connections sleep, as in the kernel, which then looks at no
// packet: it is all the host's own.
//
// As that costs a look at every service and destination, of many deletions in a
// row only some do it, the last of a family, and the Editor when it is closed.
func (t *Table) Refilter() {
	if time.Since(t.filtered) < filterPause && t.prepared().awake() == t.filteredFor {
		t.stale = true
		return
	}
	t.refilter()
}

func (t *Table) refilter() {
	var want controlFilter
	p := t.prepared()
	awake := map[uint8]bool{}
	for i := range t.services.elems {
		if s := &t.services.elems[i]; s.State == svcLive {
			want.addVIP(s.Key)
			awake[s.Key.Family] = true
		}
	}
	for i := firstDst; i < int(t.Settings().DstUsed); i++ {
		d := &t.dsts.elems[i]
		s := &t.services.elems[d.Svc]
		busy := d.Active|d.Inactive|d.Persistent != 0 && awake[s.Key.Family]
		if (p.dsts[i] || busy) && awake[d.Family] {
			want.addRIP(d)
		}
		if busy && s.Incarnation == d.Incarnation {
			want.addVIP(s.Key)
		}
	}
	for _, d := range t.dsts.elems[:firstDst] { // connections of firewall marks
		if d.Active|d.Inactive != 0 && awake[d.Family] {
			want.addVIP(ServiceID{Fwmark: 1, Family: d.Family})
		}
	}
	if t.sleeps() {
		want.forgetVIPs()
	}
	t.filter.elems[0].become(&want)
	t.filtered, t.filteredFor, t.stale = time.Now(), p.awake(), false
}

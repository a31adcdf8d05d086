package ipvs

import (
	"fmt"
	"net/netip"

	"github.com/evs-project/evs/internal/datapath"
)

// ProbeMarks returns for each destination of a service, by its address, the mark of
// a probe of it. A connection to the VIP from a socket of this namespace with that
// mark (SO_MARK) goes to the one destination by the service's own method, whatever
// its weight, the scheduler, persistence and thresholds say: the way of the clients,
// to see whether they get through. It is forgotten ten seconds after its last
// packet.
//
// Where the VIP is an address of the director, the socket has to be bound to another
// of its addresses. Marks hold until the destination is deleted: ask again after an
// edit. Marks of the eight high bits 0x45 are taken for this.
func (t *Table) ProbeMarks(k ServiceKey) (map[netip.AddrPort]uint32, error) {
	var marks map[netip.AddrPort]uint32
	err := t.view(func(dp *datapath.Table) error {
		l, ok := dp.Find(keyRecord(k))
		if !ok {
			return nil
		}
		marks = make(map[netip.AddrPort]uint32, len(l.Entries))
		for _, e := range l.Entries {
			marks[addrPort(dp.Dst(e.Dst))] = datapath.ProbeMark | e.Dst
		}
		return nil
	})
	if err == nil && marks == nil {
		err = fmt.Errorf("%s: %w", k, ErrNoService)
	}
	return marks, err
}

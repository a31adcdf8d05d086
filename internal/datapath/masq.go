package datapath

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// tellsStrays reports whether servers are told of packets that belong to no
// connection (nat_icmp_send).
func (t *Table) tellsStrays() bool {
	return t.Settings().Sysctl[controlSysctlSYSCTL_NAT_ICMP_SEND] != 0
}

// listMasqPorts tells the data path from which addresses and ports masqueraded
// servers serve, as far as it has to know. What is there already is not
// touched.
func (t *Table) listMasqPorts() error {
	ports, err := ebpf.LoadPinnedMap(filepath.Join(t.place.table(), controlMapMasqPorts), nil)
	if err != nil {
		return fmt.Errorf("ports of masqueraded servers: %w", err)
	}
	defer ports.Close()
	want := t.masqPorts()
	var key ServiceID
	var value uint32
	var gone []ServiceID
	it := ports.Iterate()
	for it.Next(&key, &value) {
		if !want[key] {
			gone = append(gone, key)
		}
		delete(want, key)
	}
	errs := []error{it.Err()}
	for _, key := range gone {
		if err := ports.Delete(key); !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	for key := range want {
		errs = append(errs, ports.Put(key, uint32(1)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("ports of masqueraded servers: %w", err)
	}
	return nil
}

// masqPorts are the ports of the masqueraded servers of live services: none while
// nobody asks.
func (t *Table) masqPorts() map[ServiceID]bool {
	all := map[ServiceID]bool{}
	if !t.tellsStrays() {
		return all
	}
	for i := range t.services.elems {
		s := &t.services.elems[i]
		if s.State != svcLive {
			continue
		}
		for _, e := range t.entriesAt(unpackVersion(s.Version)) {
			if d := &t.dsts.elems[e.Dst]; e.Method == methodMasq {
				all[ServiceID{Addr: d.Addr, Port: d.Port, Family: d.Family, Proto: s.Key.Proto}] = true
			}
		}
	}
	return all
}

package ipvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/evs-project/evs/internal/datapath"
)

// Table is the virtual server table of a network namespace: that of the thread
// which calls. A table that does not exist reads as empty; the first edit that
// adds something creates it, attached to the namespace's interfaces.
//
// A Table is not for concurrent use. Edits of several Tables and processes are
// serialised.
type Table struct {
	ctx    context.Context
	editor datapath.Editor
}

// Open returns the table of the calling thread's network namespace. It creates
// nothing. ctx bounds how long later edits wait for other writers.
func Open(ctx context.Context) (*Table, error) {
	return &Table{ctx: ctx}, nil
}

// OpenSized is Open with room for conns connections in a table that this
// Table creates; 0 chooses by memory.
func OpenSized(ctx context.Context, conns int) (*Table, error) {
	return &Table{ctx: ctx, editor: datapath.Editor{Sizes: datapath.Sizes{Conns: conns}}}, nil
}

// Close lets go of the table. The table itself stays, and so do its
// connections.
func (t *Table) Close() error { return t.editor.Close() }

// version is that of the IPVS whose behaviour the table has, and hashSize its
// default number of hash buckets: scripts parse both in the listing header.
const (
	version  = "1.2.1"
	hashSize = 4096
)

// Info describes the table.
func (t *Table) Info() (Info, error) {
	if err := t.view(func(*datapath.Table) error { return nil }); err != nil {
		return Info{}, err
	}
	return Info{Version: version, ConnTableSize: hashSize}, nil
}

// view reads the table; none reads as empty.
func (t *Table) view(read func(*datapath.Table) error) error {
	err := t.editor.View(read)
	if errors.Is(err, datapath.ErrNoTable) {
		return nil
	}
	return translate(err)
}

// Services returns every service with its state, the oldest first.
func (t *Table) Services() ([]ServiceInfo, error) {
	var all []ServiceInfo
	err := t.view(func(dp *datapath.Table) error {
		live := dp.Services()
		slices.SortFunc(live, func(a, b datapath.Live) int { return cmp.Compare(a.Born, b.Born) })
		for _, l := range live {
			all = append(all, serviceInfo(dp, l))
		}
		return nil
	})
	return all, err
}

// Service returns one service with its state, or ErrNoService.
func (t *Table) Service(k ServiceKey) (ServiceInfo, error) {
	var info ServiceInfo
	found := false
	err := t.view(func(dp *datapath.Table) error {
		l, ok := dp.Find(keyRecord(k))
		if ok {
			info, found = serviceInfo(dp, l), true
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: %w", k, ErrNoService)
	}
	return info, err
}

func serviceInfo(dp *datapath.Table, l datapath.Live) ServiceInfo {
	info := ServiceInfo{Service: serviceOf(l), Stats: statsOf(l.Gone)}
	for _, e := range l.Entries {
		r := dp.Dst(e.Dst)
		d := DestinationInfo{
			Destination: destinationOf(r, e), LastWeight: int32(e.LastWeight),
			Active: r.Active, Inactive: r.Inactive, Persistent: r.Persistent,
			Stats:   statsOf(dp.DstStats(int(e.Dst))),
			Rates:   Rates(statsOf(dp.DstRates(int(e.Dst)))),
			Signals: Signals(dp.DstSignals(int(e.Dst))),
		}
		info.Destinations = append(info.Destinations, d)
		info.Stats = info.Stats.add(d.Stats)
		info.Rates = Rates(Stats(info.Rates).add(Stats(d.Rates)))
	}
	return info
}

// Conns yields the connections alive, in no order.
func (t *Table) Conns() iter.Seq2[Conn, error] { return t.ConnsOf(ConnFilter{}) }

// Timeouts returns the timeouts in force.
func (t *Table) Timeouts() (Timeouts, error) {
	out := timeoutsOf(datapath.DefaultTimeouts())
	err := t.view(func(dp *datapath.Table) error {
		out = timeoutsOf(dp.Settings().Timeout)
		return nil
	})
	return out, err
}

func timeoutsOf(seconds [len(datapath.Settings{}.Timeout)]uint32) Timeouts {
	at := func(state int) time.Duration { return time.Duration(seconds[state]) * time.Second }
	return Timeouts{TCP: at(datapath.StateEstablished), TCPFin: at(datapath.StateFinWait), UDP: at(datapath.StateUDP)}
}

// Daemons returns the connection-synchronisation daemons that were started.
func (t *Table) Daemons() ([]Daemon, error) {
	var all []Daemon
	err := t.view(func(dp *datapath.Table) error {
		for i, role := range roles {
			if d := dp.Settings().Daemon[i]; d.Running != 0 {
				all = append(all, daemonOf(role, d))
			}
		}
		return nil
	})
	return all, err
}

func addrPort(d datapath.Dst) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(d.Addr.B, d.Family), swap16(d.Port))
}

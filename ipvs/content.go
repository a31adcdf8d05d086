package ipvs

import (
	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/sched"
)

// content works out what a service is to have after an edit of what it was: the
// records, and what its scheduler needs beside them.
func content(dp *datapath.Table, was datapath.Live, s Service, entries []datapath.Entry) datapath.Content {
	remember(entries, was.Entries)
	c := datapath.Content{Version: versionRecord(s), Entries: entries}
	scheduler, ok := sched.Find(s.Scheduler)
	if !ok {
		return c
	}
	now := members(dp, entries)
	if scheduler.Rotate != nil {
		fresh := nameOf(was.Version.SchedName[:]) != s.Scheduler
		r := scheduler.Rotate(was.State, fresh, members(dp, was.Entries), now)
		c.Version.WeightMax, c.Version.WeightStep, c.State = r.Top, r.Step, r.Memory
		if fresh && scheduler.Era {
			c.State = dp.Era()
		}
	}
	if scheduler.Place != nil {
		c.Places = scheduler.Place(s.Family == IPv6, now)
	}
	return c
}

// remember gives entries of weight 0 the weight they had before, as they have
// their places in some schedulers' tables by it. One that was not there before
// has none.
func remember(entries, was []datapath.Entry) {
	had := make(map[uint32]uint32, len(was))
	for _, e := range was {
		had[e.Dst] = e.LastWeight
	}
	for i := range entries {
		if e := &entries[i]; e.Weight != 0 {
			e.LastWeight = e.Weight
		} else {
			e.LastWeight = had[e.Dst]
		}
	}
}

func members(dp *datapath.Table, entries []datapath.Entry) []sched.Member {
	out := make([]sched.Member, len(entries))
	for i, e := range entries {
		out[i] = sched.Member{ID: e.Dst, Weight: e.Weight, LastWeight: e.LastWeight, Addr: addrPort(dp.Dst(e.Dst))}
	}
	return out
}

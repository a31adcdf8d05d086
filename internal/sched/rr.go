package sched

import "slices"

// rotateRR keeps the turn where it was: the destination that had the last turn
// keeps having had it, also when others come and go. If it is gone, the one
// before it takes its place, as in the kernel's ip_vs_rr.
func rotateRR(memory uint64, fresh bool, was, now []Member) Rotation {
	position, _ := unpackMemory(memory)
	if fresh || int(position) > len(was) {
		return Rotation{}
	}
	for ; position > 0; position-- {
		last := was[position-1].ID
		if i := slices.IndexFunc(now, func(m Member) bool { return m.ID == last }); i >= 0 {
			return Rotation{Memory: packMemory(uint32(i+1), 0)}
		}
	}
	return Rotation{}
}

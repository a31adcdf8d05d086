package sched

import "net/netip"

// Member is one destination of a service as schedulers see it, in the order
// they walk: the newest first.
type Member struct {
	// ID names the destination across edits.
	ID uint32
	// Weight is the share of new connections; 0 takes none.
	Weight uint32
	// LastWeight is the weight, or if that is 0, what it was before.
	LastWeight uint32
	// Addr is where it is.
	Addr netip.AddrPort
}

// Rotation is what the data path's round robins need beside the members.
type Rotation struct {
	// Top is the level a fall begins at, Step what it falls by; 0 where the
	// scheduler has no levels.
	Top, Step uint32
	// Memory is the scheduler's memory after the edit: in its lower half the
	// position of the last turn, 1 for the first member and 0 before any
	// turn, in its upper half the level.
	Memory uint64
}

// Rotate returns the rotation of a scheduler after its members changed from
// was to now. fresh says that the scheduler is new to the service.
type Rotate func(memory uint64, fresh bool, was, now []Member) Rotation

func packMemory(position, level uint32) uint64 { return uint64(level)<<32 | uint64(position) }

func unpackMemory(m uint64) (position, level uint32) { return uint32(m), uint32(m >> 32) }

package datapath

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Ending is how connections end that an operator ends.
type Ending int

// The ways a connection can end. Only those of TCP can be reset whose ends have found
// each other and are not through; the others end silently all the same. A client whose
// SYN has not been answered sends it once more, and is given a server.
const (
	EndSilently Ending = iota // nobody is told
	ResetClient
	ResetBoth // the client, and the server as soon as the client or itself says something
)

// resetStates are the states of connections that are reset.
var resetStates = map[Ending]uint8{
	ResetClient: uint8(controlConnStateSTATE_RESET),
	ResetBoth:   uint8(controlConnStateSTATE_RESET_BOTH),
}

// ends is what became of the connections that were ended.
type ends struct {
	swept, templates int
	reset            []ConnRecord
}

// EndConns ends the connections and templates that want says: connections at once, or
// once they are reset; templates find nobody any more, and end when those that they
// hold have. It returns how many of either it ended without a word, and those that
// are reset.
func (t *Table) EndConns(want func(ConnRecord) bool, how Ending) (conns, templates int, reset []ConnRecord, err error) {
	now, hz, err := t.clock()
	if err != nil {
		return 0, 0, nil, err
	}
	var e ends
	for r, err := range t.Conns() {
		if err != nil {
			return 0, 0, nil, err
		}
		if want(r) {
			t.endConn(&e, r, how, uint32(now.Jiffies), hz)
		}
	}
	if e.swept+e.templates > 0 {
		err = t.sweep()
	}
	return e.swept, e.templates, e.reset, err
}

// endConn ends one connection. What follows from the swap of its life, does whoever
// succeeds in it, as in the data path: the counts of a connection that is reset change
// here, those of one that has run out when it is swept.
func (t *Table) endConn(e *ends, r ConnRecord, how Ending, now, hz uint32) {
	for again := true; again; again = r.again() {
		next := r.Conn
		state, tells := resetStates[how]
		resets := tells && r.Proto == unix.IPPROTO_TCP && canReset[r.ConnState()]
		switch {
		case tells && r.resets():
			return // already
		case resets:
			next.State, next.Flags = state, r.Flags|connInactive
			next.Expires = now + t.Settings().Timeout[state]*hz
		default:
			next.Expires = now - hz // so that no packet under way finds that it has time left
			if r.Proto&Template != 0 {
				next.Flags |= ConnRetired
			}
		}
		if !atomic.CompareAndSwapUint64(as[uint64](r.slot), *as[uint64](&r.Conn), *as[uint64](&next)) {
			continue
		}
		switch {
		case resets:
			if r.Flags&connInactive == 0 {
				d := &t.dsts.elems[r.Conn.Dst]
				atomic.AddUint32(&d.Active, ^uint32(0))
				atomic.AddUint32(&d.Inactive, 1)
			}
			e.reset = append(e.reset, r)
		case r.Proto&Template != 0:
			e.templates++
		default:
			e.swept++
		}
		return
	}
}

// again reads the life of a connection that has changed, and reports whether it is the
// same connection still.
func (r *ConnRecord) again() bool {
	was := r.Gen
	*as[uint64](&r.Conn) = atomic.LoadUint64(as[uint64](r.slot))
	return r.Gen == was && r.Flags&connLive != 0
}

// canReset are the states of TCP in which there is somebody to be told.
var canReset = map[uint8]bool{
	uint8(controlConnStateSTATE_ESTABLISHED): true,
	uint8(controlConnStateSTATE_SYN_SENT):    true,
	uint8(controlConnStateSTATE_FIN_WAIT):    true,
	uint8(controlConnStateSTATE_CLOSE_WAIT):  true,
	uint8(controlConnStateSTATE_LAST_ACK):    true,
}

func (r *ConnRecord) resets() bool {
	state := r.ConnState()
	return r.Proto == unix.IPPROTO_TCP && (state == resetStates[ResetClient] || state == resetStates[ResetBoth])
}

// AwaitsReset reports whether neither end of a connection that is reset has said
// anything since, so that nobody could be told.
func (r *ConnRecord) AwaitsReset() bool {
	return r.resets() && r.Left > time.Duration(controlResetTimeRESET_LINGER_SECONDS)*time.Second
}

// ServiceOf returns the service that a connection was made by, as long as its slot has
// not been given to another.
func (t *Table) ServiceOf(r ConnRecord) (ServiceID, bool) {
	s := &t.services.elems[r.Dst.Svc]
	return s.Key, s.Incarnation == r.Dst.Incarnation
}

package health

// Counts are what the data path has counted of a server since it is in the table: what
// its clients' packets tell of it, whichever way its answers go.
type Counts struct {
	// Conns are connections that it was given.
	Conns uint64
	// Retried are SYNs that came again, as the first was not answered.
	Retried uint64
	// Refused are resets that it answered a SYN with. Only of a server whose answers
	// come by the director are they seen.
	Refused uint64
}

// Since is what was counted after before. A server that was taken out of the table
// and put back counts anew.
func (c Counts) Since(before Counts) Counts {
	if c.Conns < before.Conns || c.Retried < before.Retried || c.Refused < before.Refused {
		return c
	}
	return Counts{c.Conns - before.Conns, c.Retried - before.Retried, c.Refused - before.Refused}
}

// Failed is the part of connections that failed, from 0 to 1. What fails again was
// given earlier, so there may be more failures than connections.
func (c Counts) Failed() float64 {
	failures := c.Retried + c.Refused
	if failures == 0 {
		return 0
	}
	return min(float64(failures)/float64(max(c.Conns, 1)), 1)
}

package health

// Counts are what the data path has counted of a server: what its clients' packets tell
// of it, whichever way its answers go. They only grow; by how much is what means
// something.
type Counts struct {
	// Conns are the connections that it was given, Answered those of them whose
	// client went on after its first packet, as it had an answer.
	Conns, Answered uint64
	// Retried are SYNs that came again, as the first was not answered.
	Retried uint64
	// Refused are resets that it answered a SYN with. Only of a server whose answers
	// come by the director are they seen.
	Refused uint64
	// Packets are those of its clients.
	Packets uint64
}

// Since is what was counted after before. A server that was taken out of the table
// and put back may count anew.
func (c Counts) Since(before Counts) Counts {
	if c.Conns < before.Conns || c.Packets < before.Packets {
		return c
	}
	return Counts{
		Conns: c.Conns - before.Conns, Answered: c.Answered - before.Answered,
		Retried: c.Retried - before.Retried, Refused: c.Refused - before.Refused, Packets: c.Packets - before.Packets,
	}
}

// Plus is both together.
func (c Counts) Plus(o Counts) Counts {
	return Counts{c.Conns + o.Conns, c.Answered + o.Answered, c.Retried + o.Retried, c.Refused + o.Refused, c.Packets + o.Packets}
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

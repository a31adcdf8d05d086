package health

import "context"

// newUDP sends a datagram. Where no answer is expected, silence is taken for
// well, as most services say nothing to what they do not understand: what is down
// answers with an ICMP error.
func newUDP(s Spec, target Target) (probe, error) {
	r, t, err := talkOf(s, target)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found, error) {
		c, err := r.dial(ctx, "udp")
		if err != nil {
			return found{}, err
		}
		defer c.Close()
		payload := t.send
		if s.FullMTU {
			if payload, err = r.filling(udpHeader); err != nil {
				return found{}, err
			}
		}
		if len(payload) == 0 {
			payload = []byte{0}
		}
		if _, err := c.Write(payload); err != nil {
			return found{}, err
		}
		buffer := make([]byte, longest)
		n, err := c.Read(buffer)
		switch {
		case err == nil && t.expects:
			return found{}, t.verdict(buffer[:n])
		case err == nil || late(err) && !t.expects && ctx.Err() != context.Canceled:
			return found{}, nil
		}
		return found{}, &stepError{none: "no answer", err: err}
	}, nil
}

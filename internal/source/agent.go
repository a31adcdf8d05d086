package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/weight"
)

// newAgent asks a program on the server. What a reply leaves out stays as it was, so
// the asker remembers.
func newAgent(a asking) (asker, error) {
	at := netip.AddrPortFrom(a.server.Addr(), a.Port).String()
	var before weight.Reading
	return func(ctx context.Context) (weight.Reading, error) {
		line, err := converse(ctx, at, a.Send)
		if err != nil {
			return weight.Reading{}, err
		}
		reply, err := weight.ParseReply(line)
		if err != nil {
			return weight.Reading{}, err
		}
		now := reply.Reading(before, time.Now())
		if a.Value == weight.UnitLoad {
			if now, err = loaded(now, reply, a); err != nil {
				return weight.Reading{}, err
			}
		}
		before = now
		return now, nil
	}, nil
}

// loaded is the reading of an agent that is asked for its load.
func loaded(now weight.Reading, reply weight.Reply, a asking) (weight.Reading, error) {
	switch {
	case reply.Load != nil:
		n, err := weight.NumberOf(a.WeightSource, *reply.Load, now.At)
		now.Value, now.Unit = n.Value, n.Unit
		return now, err
	case now.Down || now.Drain:
		return now, nil // no weight depends on it
	}
	return now, errors.New("the agent does not tell its load, as `evs realserver agent` does: leave out value: load, or run that")
}

// converse connects, says what is to be said, and returns the line that comes back.
// All of it has the time of ctx, however it trickles.
func converse(ctx context.Context, at, send string) (string, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(c, send); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(c, weight.MaxReply+1)).ReadString('\n')
	switch {
	case len(line) > weight.MaxReply:
		return "", fmt.Errorf("the agent's reply has no end within %d bytes", weight.MaxReply)
	case err != nil && !errors.Is(err, io.EOF):
		return "", err
	}
	return line, nil
}

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// longest is how much of an answer is looked at.
const longest = 64 << 10

func newTCP(s Spec, target Target) (probe, error) {
	r, t, err := talkOf(s, target)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found, error) {
		c, err := r.dial(ctx, "tcp")
		if err != nil {
			return found{}, err
		}
		defer c.farewell(ctx)
		if len(t.send) > 0 {
			if _, err := c.Write(t.send); err != nil {
				return found{}, err
			}
		}
		if !t.expects {
			return found{at: time.Now()}, nil
		}
		err = t.listen(c)
		return found{at: time.Now()}, err
	}, nil
}

// A conversation is what is said and expected, ready for use.
type conversation struct {
	send    []byte
	expects bool
	begins  pattern
	matches *regexp.Regexp
	least   int
	most    int
}

// talkOf is whom to talk to and what about.
func talkOf(s Spec, target Target) (reach, conversation, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return r, conversation{}, err
	}
	t, err := conversationOf(s.Talk)
	return r, t, err
}

func conversationOf(t Talk) (conversation, error) {
	c := conversation{send: []byte(t.Send), expects: t.expects(), least: t.MinReply, most: t.MaxReply}
	hex, err := parsePattern(t.SendHex, false)
	if err != nil {
		return c, err
	}
	c.send = append(c.send, hex.want...)
	if c.begins, err = parsePattern(t.ExpectHex, true); err != nil {
		return c, err
	}
	if t.Expect != "" {
		c.matches, err = regexp.Compile(t.Expect)
	}
	return c, err
}

// verdict says what is wrong with an answer.
func (c conversation) verdict(answer []byte) error {
	switch {
	case len(answer) < c.least:
		return fmt.Errorf("the answer has %d bytes, fewer than %d", len(answer), c.least)
	case c.most != 0 && len(answer) > c.most:
		return fmt.Errorf("the answer has %d bytes, more than %d", len(answer), c.most)
	case !c.begins.begins(answer):
		return fmt.Errorf("the answer does not begin as expected: %s", excerpt(answer))
	case c.matches != nil && !c.matches.Match(answer):
		return fmt.Errorf("the answer does not match: %s", excerpt(answer))
	}
	return nil
}

// listen reads a stream until what has come is as expected.
func (c conversation) listen(from io.Reader) error {
	var answer []byte
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		answer = append(answer, buffer[:n]...)
		if n > 0 && c.verdict(answer) == nil {
			return nil
		}
		switch {
		case errors.Is(err, io.EOF) && len(answer) == 0:
			return errors.New("closed without an answer")
		case errors.Is(err, io.EOF) || len(answer) >= longest || late(err) && len(answer) > 0:
			return c.verdict(answer)
		case err != nil:
			return err
		}
	}
}

// excerpt shows the beginning of an answer.
func excerpt(b []byte) string { return fmt.Sprintf("%.60q", b) }

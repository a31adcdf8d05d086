package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
)

// newSMTP greets a mail server as another would, and takes its leave.
func newSMTP(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return nil, err
	}
	helo := s.Helo
	if helo == "" {
		if helo, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	var secure *tls.Config
	if s.TLS != nil {
		if secure, err = s.TLS.config(serverName("", r)); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (found, error) {
		c, err := r.dial(ctx, "tcp")
		if err != nil {
			return found{}, err
		}
		defer c.farewell(ctx)
		talk := smtpTalk{ctx: ctx, text: textOver(c)}
		talk.expect("greeting", 220)
		talk.ask(250, "EHLO %s", helo)
		if secure != nil {
			talk.ask(220, "STARTTLS")
			talk.secure(c, secure)
			talk.ask(250, "EHLO %s", helo)
		}
		talk.ask(221, "QUIT")
		return found{}, talk.err
	}, nil
}

// textOver reads lines from c, and no more of them than anybody needs.
func textOver(c net.Conn) *textproto.Conn {
	return textproto.NewConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{io.LimitReader(c, longest), c, c})
}

// smtpTalk is a talk that ends with the first answer that is not as it should be.
type smtpTalk struct {
	ctx  context.Context
	text *textproto.Conn
	err  error
}

func (t *smtpTalk) ask(code int, format string, args ...any) {
	if t.err != nil {
		return
	}
	if t.err = t.text.PrintfLine(format, args...); t.err == nil {
		t.expect(strings.Fields(format)[0], code)
	}
}

func (t *smtpTalk) expect(what string, code int) {
	if t.err != nil {
		return
	}
	_, _, err := t.text.ReadResponse(code)
	var refusal *textproto.Error
	if errors.As(err, &refusal) {
		err = fmt.Errorf("%d %.80s", refusal.Code, refusal.Msg)
	}
	if err != nil {
		t.err = &stepError{none: "no answer to " + what, err: fmt.Errorf("%s: %w", what, overdue(t.ctx, err))}
	}
}

func (t *smtpTalk) secure(c net.Conn, config *tls.Config) {
	if t.err != nil {
		return
	}
	over := tls.Client(c, config)
	t.err = handshake(over)
	t.text = textOver(over)
}

func validateSMTP(s Spec) []FieldError {
	if strings.ContainsFunc(s.Helo, func(c rune) bool { return c <= ' ' || c >= 127 }) {
		return []FieldError{{"helo", fmt.Sprintf("%q is no host name", s.Helo), "write a name without blanks"}}
	}
	return nil
}

package lab

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// udpRequester asks the echo service.
type udpRequester struct {
	spec    LoadSpec
	address string
	conn    net.Conn
	sent    int
}

func (r *udpRequester) request(ctx context.Context) (string, int64, error) {
	if r.conn == nil {
		conn, err := r.spec.Dial(ctx, "udp", r.address)
		if err != nil {
			return "", 0, err
		}
		r.conn = conn
	}
	if !r.spec.KeepAlive {
		defer r.close()
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := r.conn.SetDeadline(deadline); err != nil {
			return "", 0, err
		}
	}
	r.sent++
	payload := fmt.Sprintf("request %d", r.sent)
	if _, err := r.conn.Write([]byte(payload)); err != nil {
		return "", 0, err
	}
	buf := make([]byte, 2048)
	for {
		n, err := r.conn.Read(buf)
		if err != nil {
			return "", 0, err
		}
		// The late answer to a request given up is not the one awaited.
		server, echoed, _ := strings.Cut(string(buf[:n]), ": ")
		if echoed == payload {
			return server, int64(n), nil
		}
	}
}

func (r *udpRequester) close() {
	if r.conn != nil {
		// A datagram socket has nothing left to say.
		_ = r.conn.Close()
		r.conn = nil
	}
}

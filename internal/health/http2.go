package health

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

const (
	agent         = "EVS health check"
	paddingHeader = "X-Padding"
)

// h2 asks once by HTTP/2 over a connection that is there already. Closing the
// answer's body lets go of it.
func h2(ctx context.Context, c net.Conn, req *http.Request) (*http.Response, error) {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	given := func(context.Context, string, string) (net.Conn, error) { return c, nil }
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true, MaxResponseHeaderBytes: 1 << 16,
		DialContext: given, DialTLSContext: given,
	}
	client, err := transport.NewClientConn(ctx, req.URL.Scheme, "checked:1")
	if err != nil {
		return nil, err
	}
	answer, err := client.RoundTrip(req.WithContext(ctx))
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	answer.Body = lastBody{answer.Body, client}
	return answer, nil
}

// lastBody is the body of the last answer over a connection.
type lastBody struct {
	io.ReadCloser
	client io.Closer
}

func (b lastBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.client.Close())
}

// schemeOf is the scheme of what is asked over c.
func schemeOf(c net.Conn) string {
	if _, is := c.(*tls.Conn); is {
		return "https"
	}
	return "http"
}

func (x exchange) ask2(ctx context.Context, c net.Conn, padding []string) (*http.Response, error) {
	req, err := http.NewRequest(x.req.Method, schemeOf(c)+"://checked"+x.req.Path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = x.req.Host
	req.Header.Set("User-Agent", agent)
	for name, value := range x.req.Headers {
		req.Header.Set(name, value)
	}
	for _, line := range padding {
		req.Header.Add(paddingHeader, line)
	}
	return h2(ctx, c, req)
}

// padding are lines of a header that make the request longer than a segment, so
// that the first of its packets is as large as the path allows.
func (r reach) padding(c bounded) ([]string, error) {
	if !r.fullMTU {
		return nil, nil
	}
	tcp, is := c.Conn.(*net.TCPConn)
	if !is {
		return nil, io.ErrUnexpectedEOF
	}
	size, err := segment(tcp)
	if err != nil {
		return nil, err
	}
	var lines []string
	for ; size > 0; size -= 1000 {
		lines = append(lines, strings.Repeat("z", min(size, 1000)))
	}
	return lines, nil
}

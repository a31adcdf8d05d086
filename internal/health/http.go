package health

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// searched is how much of a body expressions are matched against, and how much
// is read of one that nobody asks about.
const searched = 1 << 20

// An exchange is one request of HTTP, ready for use.
type exchange struct {
	reach   reach
	secure  *tls.Config
	version string
	req     Request
	status  spans
	body    *regexp.Regexp
	notBody *regexp.Regexp
}

func newHTTP(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return nil, err
	}
	requests := s.Requests
	if len(requests) == 0 {
		requests = []Request{{}}
	}
	exchanges := make([]exchange, len(requests))
	for i, req := range requests {
		if exchanges[i], err = exchangeOf(s, r, req.over(s.Request)); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (f found, err error) {
		for _, x := range exchanges {
			if f, err = x.do(ctx); err != nil && len(exchanges) > 1 {
				return f, fmt.Errorf("%s: %w", x.req.Path, err)
			}
			if err != nil {
				return f, err
			}
		}
		return f, nil
	}, nil
}

// over is r, with what it leaves out taken from d.
func (r Request) over(d Request) Request {
	headers := maps.Clone(d.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	maps.Copy(headers, r.Headers)
	return Request{
		Method: cmp.Or(r.Method, d.Method, "GET"), Path: cmp.Or(r.Path, d.Path, "/"), Host: cmp.Or(r.Host, d.Host), Headers: headers,
		Status: cmp.Or(r.Status, d.Status, "200-299"), Body: cmp.Or(r.Body, d.Body), NotBody: cmp.Or(r.NotBody, d.NotBody),
		MD5: strings.ToLower(cmp.Or(r.MD5, d.MD5)), SHA256: strings.ToLower(cmp.Or(r.SHA256, d.SHA256)),
	}
}

func exchangeOf(s Spec, r reach, req Request) (x exchange, err error) {
	x = exchange{reach: r, version: s.Version, req: req}
	usual := uint16(80)
	if s.Kind == "https" {
		usual = 443
		next := map[string][]string{"": {"h2", "http/1.1"}, "2": {"h2"}}[s.Version]
		if x.secure, err = s.TLS.config(serverName(req.Host, r), next...); err != nil {
			return x, err
		}
	}
	if req.Host == "" {
		x.req.Host = hostOf(r, usual)
	}
	if x.status, err = parseSpans(req.Status, 100, 999); err != nil {
		return x, err
	}
	if req.Body != "" {
		if x.body, err = regexp.Compile(req.Body); err != nil {
			return x, err
		}
	}
	if req.NotBody != "" {
		x.notBody, err = regexp.Compile(req.NotBody)
	}
	return x, err
}

// hostOf is the host of a request that names none.
func hostOf(r reach, usual uint16) string {
	switch {
	case r.to.Port() != usual:
		return r.to.String()
	case r.to.Addr().Is6():
		return "[" + r.to.Addr().String() + "]"
	}
	return r.to.Addr().String()
}

func (x exchange) do(ctx context.Context) (found, error) {
	plain, err := x.reach.dial(ctx, "tcp")
	if err != nil {
		return found{}, err
	}
	defer plain.Close()
	padding, err := x.reach.padding(plain)
	if err != nil {
		return found{}, err
	}
	var c net.Conn = plain
	version := cmp.Or(x.version, "1.1")
	if x.secure != nil {
		secure := tls.Client(plain, x.secure)
		defer secure.Close()
		if err := handshake(secure); err != nil {
			return found{}, err
		}
		if c = secure; x.version == "" && secure.ConnectionState().NegotiatedProtocol == "h2" {
			version = "2"
		}
	}
	ask := x.ask1
	if version == "2" {
		ask = x.ask2
	}
	answer, err := ask(ctx, c, padding)
	if err != nil {
		return found{}, &stepError{none: "no answer", err: err}
	}
	defer answer.Body.Close()
	return x.judge(answer)
}

// ask1 asks by HTTP/1: what is sent is written here, as a client of the library
// knows no 1.0.
func (x exchange) ask1(ctx context.Context, c net.Conn, padding []string) (*http.Response, error) {
	version := cmp.Or(x.version, "1.1")
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/%s\r\nHost: %s\r\n", x.req.Method, x.req.Path, version, x.req.Host)
	headers := map[string]string{"User-Agent": agent, "Accept": "*/*", "Connection": "close"}
	if version == "1.0" {
		delete(headers, "Connection")
	}
	for name, value := range x.req.Headers {
		if strings.EqualFold(name, "Host") {
			continue // the field host is for this
		}
		headers[http.CanonicalHeaderKey(name)] = value
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(&text, "%s: %s\r\n", name, headers[name])
	}
	for _, line := range padding {
		fmt.Fprintf(&text, "%s: %s\r\n", paddingHeader, line)
	}
	text.WriteString("\r\n")
	if _, err := c.Write(text.Bytes()); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, 1<<30)), &http.Request{Method: x.req.Method})
	if err != nil {
		return nil, overdue(ctx, err)
	}
	return answer, nil
}

// judge compares an answer with what is expected.
func (x exchange) judge(answer *http.Response) (found, error) {
	digests := map[string]hash.Hash{}
	if x.req.MD5 != "" {
		digests[x.req.MD5] = md5.New()
	}
	if x.req.SHA256 != "" {
		digests[x.req.SHA256] = sha256.New()
	}
	var head bytes.Buffer
	sink := []io.Writer{}
	for _, d := range digests {
		sink = append(sink, d)
	}
	if !x.status.has(answer.StatusCode) {
		return found{}, fmt.Errorf("status %d", answer.StatusCode)
	}
	_, err := io.Copy(io.MultiWriter(append(sink, &head)...), io.LimitReader(answer.Body, searched))
	if err == nil && len(digests) > 0 {
		_, err = io.Copy(io.MultiWriter(sink...), answer.Body)
	}
	if err != nil {
		return found{}, err
	}
	for want, d := range digests {
		if got := fmt.Sprintf("%x", d.Sum(nil)); got != want {
			return found{}, fmt.Errorf("the digest of the body is %s", got)
		}
	}
	if x.body != nil && !x.body.Match(head.Bytes()) {
		return found{}, fmt.Errorf("the body does not match: %s", excerpt(head.Bytes()))
	}
	if x.notBody != nil && x.notBody.Match(head.Bytes()) {
		return found{}, fmt.Errorf("the body has what it must not: %.60q", x.notBody.Find(head.Bytes()))
	}
	return found{detail: fmt.Sprintf("status %d", answer.StatusCode)}, nil
}

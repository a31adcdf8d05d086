package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
)

// ErrNoDirector says that nobody listens.
var ErrNoDirector = errors.New("no director runs")

// Client asks a director. It may be used by several goroutines.
type Client struct {
	http *http.Client
	base string
	name string // of the door, in messages
}

// maxAnswer bounds what a client reads: the documents of some ten thousand servers.
const maxAnswer = 256 << 20

// Dial makes a client of a Unix socket. It connects when it is first used.
func Dial(socket string) *Client {
	var d net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", socket)
	}}
	return &Client{&http.Client{Transport: transport}, "http://localhost", socket}
}

// DialTLS makes a client of a director's TLS listener, as ADDRESS:PORT.
func DialTLS(addr string, cfg *tls.Config) *Client {
	return &Client{&http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}, "https://" + addr, addr}
}

// Close lets go of connections that are kept for the next question.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call carries out an operation; out may be nil. A problem that the director answers with is the error,
// a *Problem.
func (c *Client) call(ctx context.Context, name, id string, in, out any) error {
	r := routeOf(name)
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+Version+strings.Replace(r.path, "{id}", url.PathEscape(id), 1), body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return c.noAnswer(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the director at %s: %w", c.name, err)
	}
	if answer.StatusCode != r.status {
		p := problem(answer.StatusCode, "")
		if err := json.Unmarshal(text, p); err != nil {
			return fmt.Errorf("the director at %s answers %s, and not as one does", c.name, answer.Status)
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the director at %s: what it answers cannot be read: %w", c.name, err)
	}
	return nil
}

// ask carries out an operation that is answered with a document.
func ask[T any](ctx context.Context, c *Client, name, id string, in any) (out T, err error) {
	err = c.call(ctx, name, id, in, &out)
	return out, err
}

// noAnswer tells whether there is no director, or none that may be asked.
func (c *Client) noAnswer(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens at %s", ErrNoDirector, c.name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the director at %s: permission denied: run as root, or as a user of the group that api.group of its file names", c.name)
	}
	return fmt.Errorf("the director at %s: %w", c.name, err)
}

// Status is how the director itself fares.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, "status", "", nil)
}

// Services are those of its file with their destinations.
func (c *Client) Services(ctx context.Context) (Services, error) {
	return ask[Services](ctx, c, "services", "", nil)
}

// Weights are those of all destinations, and why.
func (c *Client) Weights(ctx context.Context) (Weights, error) {
	return ask[Weights](ctx, c, "weights", "", nil)
}

// Drains are those there are.
func (c *Client) Drains(ctx context.Context) (Drains, error) {
	return ask[Drains](ctx, c, "drains", "", nil)
}

// GetDrain is one drain.
func (c *Client) GetDrain(ctx context.Context, id string) (keep.Drain, error) {
	return ask[keep.Drain](ctx, c, "getDrain", id, nil)
}

// Drain begins one.
func (c *Client) Drain(ctx context.Context, in DrainRequest) (keep.Drain, error) {
	return ask[keep.Drain](ctx, c, "drain", "", in)
}

// Undrain ends one.
func (c *Client) Undrain(ctx context.Context, id string) error {
	return c.call(ctx, "undrain", id, nil, nil)
}

// Overrides are those that hold.
func (c *Client) Overrides(ctx context.Context) (Overrides, error) {
	return ask[Overrides](ctx, c, "overrides", "", nil)
}

// Override begins one.
func (c *Client) Override(ctx context.Context, in OverrideRequest) (keep.Override, error) {
	return ask[keep.Override](ctx, c, "override", "", in)
}

// Unoverride ends one.
func (c *Client) Unoverride(ctx context.Context, id string) error {
	return c.call(ctx, "unoverride", id, nil, nil)
}

// Reload has the file read anew.
func (c *Client) Reload(ctx context.Context) (Reload, error) {
	return ask[Reload](ctx, c, "reload", "", nil)
}

// Plan is what a reload would change.
func (c *Client) Plan(ctx context.Context) (listing.Plan, error) {
	return ask[listing.Plan](ctx, c, "plan", "", nil)
}

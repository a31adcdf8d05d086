package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// longest bounds the body of an answer.
const longest = 4 << 20

// A Client gets documents by HTTP. It follows no redirection, as whoever asks has said
// whom, and uses no proxy.
type Client struct{ client http.Client }

// NewClient makes one.
func NewClient() *Client {
	return &Client{http.Client{
		Transport: &http.Transport{
			DisableCompression: true, MaxResponseHeaderBytes: 1 << 16,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of connections that nobody uses.
func (c *Client) Close() { c.client.CloseIdleConnections() }

// A Document is what an address has, and the tag that tells whether it is another.
type Document struct {
	Body []byte
	Tag  string
	// Same says that it is the one of the tag that was given; then Body is empty.
	Same bool
}

// Get gets the document of an address, unless it is the one of a tag.
func (c *Client) Get(ctx context.Context, url, tag string) (d Document, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return d, err
	}
	req.Header.Set("User-Agent", "EVS director")
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	answer, err := c.client.Do(req)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if tag != "" && answer.StatusCode == http.StatusNotModified {
		return Document{Tag: tag, Same: true}, nil
	}
	if answer.StatusCode != http.StatusOK {
		return d, fmt.Errorf("the answer is %q, want 200 OK", answer.Status)
	}
	d = Document{Tag: answer.Header.Get("ETag")}
	d.Body, err = io.ReadAll(io.LimitReader(answer.Body, longest+1))
	if err == nil && len(d.Body) > longest {
		err = fmt.Errorf("the answer is longer than %d MiB", longest>>20)
	}
	return d, err
}

package discovery

import (
	"context"
	"fmt"
	"net/url"
)

// newHTTP gets a document, unless the server says that it is the one of the last time
// (ETag).
func newHTTP(a asking) (asker, error) {
	if u, err := url.Parse(a.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL: write http://HOST/PATH or https://HOST/PATH", a.URL)
	}
	tag := ""
	return func(ctx context.Context) (found, error) {
		d, err := a.client.Get(ctx, a.URL, tag)
		if err != nil {
			return found{}, err
		}
		tag = d.Tag
		return found{text: d.Body, same: d.Same}, nil
	}, nil
}

package source

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/weight"
)

// named puts the server's address and port where a text has {server} and {port}.
func (a asking) named(text string) string { return named(text, a.server) }

func named(text string, server netip.AddrPort) string {
	return strings.NewReplacer("{server}", server.Addr().String(), "{port}", strconv.Itoa(int(server.Port()))).Replace(text)
}

// address is a URL with the server in it: its host has brackets around an IPv6 address.
func (a asking) address() (*url.URL, error) {
	scheme, rest, ok := strings.Cut(a.URL, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return nil, fmt.Errorf("%q is no URL: write http://HOST/ or https://HOST/", a.URL)
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if a.server.Addr().Is6() {
		host = strings.ReplaceAll(strings.ReplaceAll(host, "[{server}]", "{server}"), "{server}", "[{server}]")
	}
	return url.Parse(a.named(scheme + "://" + host + path))
}

// number reads a number as people and programs write it.
func number(text string) (float64, error) {
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", weight.Printable(clip(text)))
	}
	return value, nil
}

// clip is the beginning of a text, for a message.
func clip(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

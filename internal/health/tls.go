package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
)

// tlsVersions are the names of the versions of TLS.
var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

func newTLS(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, true)
	if err != nil {
		return nil, err
	}
	config, err := s.TLS.config(serverName("", r))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found, error) {
		plain, err := r.dial(ctx, "tcp")
		if err != nil {
			return found{}, err
		}
		defer plain.farewell(ctx)
		c := tls.Client(plain, config)
		if err := handshake(c); err != nil {
			return found{}, err
		}
		_ = c.CloseWrite()
		return found{detail: tls.VersionName(c.ConnectionState().Version)}, nil
	}, nil
}

// handshake ends when the connection's time does; with a context of its own it
// would close the connection without a word.
func handshake(c *tls.Conn) error {
	if err := c.Handshake(); err != nil {
		return &stepError{none: "no TLS handshake", err: err}
	}
	return nil
}

// serverName is the name that a server's certificate has to bear where the spec
// says nothing: the host of the request, or the address.
func serverName(host string, r reach) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "" {
		return r.to.Addr().Unmap().WithZone("").String()
	}
	return host
}

// config makes what crypto/tls wants of t, which may be nil. next are the
// protocols to offer.
func (t *TLS) config(name string, next ...string) (*tls.Config, error) {
	c := &tls.Config{ServerName: name, NextProtos: next, MinVersion: tls.VersionTLS12}
	if t == nil {
		return c, nil
	}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	c.InsecureSkipVerify = t.Verify != nil && !*t.Verify
	if t.MinVersion != "" {
		c.MinVersion = tlsVersions[t.MinVersion]
	}
	if c.MinVersion < tls.VersionTLS12 {
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s has no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert, tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
func (t TLS) validate() (found []FieldError) {
	oneOf(&found, "tls.minVersion", t.MinVersion, slices.Sorted(maps.Keys(tlsVersions))...)
	if (t.Cert == "") != (t.Key == "") {
		found = append(found, FieldError{"tls.cert", "a certificate and its key go together", "write both tls.cert and tls.key"})
	}
	if t.CA != "" && t.Verify != nil && !*t.Verify {
		found = append(found, FieldError{"tls.ca", "is not looked at, as tls.verify is false", "leave one of them out"})
	}
	return found
}

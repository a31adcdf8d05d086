package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// foreign is an address that this host does not have.
var foreign = netip.MustParseAddrPort("192.0.2.77:8443")

// loopback is a free port of this host.
func loopback(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial int64

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign makes a certificate, one's own for an authority that has none yet.
func (a authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial++
	c.SerialNumber = big.NewInt(serial)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = c.NotAfter.Add(-2 * time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// holder is a certificate for a use.
func (a authority) holder(t *testing.T, name string, use x509.ExtKeyUsage, notAfter time.Time) tls.Certificate {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{use}, NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// withTLS writes what a listener needs, all of it by the authority.
func withTLS(t *testing.T, cfg config.API, a authority) config.API {
	t.Helper()
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := a.holder(t, "director", x509.ExtKeyUsageServerAuth, time.Time{})
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = config.ServerTLS{
		Certificate: file("director.pem", "CERTIFICATE", server.Certificate[0]), Key: file("director.key", "PRIVATE KEY", key),
		ClientCA: file("ca.pem", "CERTIFICATE", a.cert.Raw), Writers: []string{"operator"},
	}
	if !cfg.Listen.IsValid() {
		cfg.Listen = loopback(t)
	}
	return cfg
}

// by is a client with certificates that trusts an authority.
func by(t *testing.T, addr netip.AddrPort, a authority, certs ...tls.Certificate) *Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := DialTLS(addr.String(), &tls.Config{RootCAs: roots, Certificates: certs})
	t.Cleanup(c.Close)
	return c
}

// status is how a reader and a writer of the client are answered: the status, or 0 if
// it does not come to an answer.
func answers(t *testing.T, c *Client) (read, write int) {
	t.Helper()
	status := func(err error, good int) int {
		var p *Problem
		switch {
		case err == nil:
			return good
		case errors.As(err, &p):
			return p.Status
		}
		return 0
	}
	_, readErr := c.Status(t.Context())
	_, writeErr := c.Reload(t.Context())
	return status(readErr, http.StatusOK), status(writeErr, http.StatusOK)
}

func TestACertificateOfTheAuthorityReadsAndThoseNamedWrite(t *testing.T) {
	ca, other := newAuthority(t, "ours"), newAuthority(t, "ours") // of the same name
	h := serving(t, func(cfg *config.API) { *cfg = withTLS(t, *cfg, ca) })
	const client = x509.ExtKeyUsageClientAuth
	for _, c := range []struct {
		name        string
		certs       []tls.Certificate
		read, write int
	}{
		{"an operator", []tls.Certificate{ca.holder(t, "operator", client, time.Time{})}, 200, 200},
		{"somebody else", []tls.Certificate{ca.holder(t, "monitor", client, time.Time{})}, 200, 403},
		{"nobody", nil, 0, 0},
		{"an operator of another authority", []tls.Certificate{other.holder(t, "operator", client, time.Time{})}, 0, 0},
		{"an operator whose time is over", []tls.Certificate{ca.holder(t, "operator", client, time.Now().Add(-time.Minute))}, 0, 0},
		{"a server", []tls.Certificate{ca.holder(t, "operator", x509.ExtKeyUsageServerAuth, time.Time{})}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if read, write := answers(t, by(t, h.cfg.Listen, ca, c.certs...)); read != c.read || write != c.write {
				t.Errorf("reading %d, writing %d, want %d and %d", read, write, c.read, c.write)
			}
		})
	}
}

func TestCertificatesAreReadAnew(t *testing.T) {
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	h := serving(t, func(cfg *config.API) { *cfg = withTLS(t, *cfg, before) })
	old := by(t, h.cfg.Listen, before, before.holder(t, "operator", x509.ExtKeyUsageClientAuth, time.Time{}))
	if read, write := answers(t, old); read != 200 || write != 200 {
		t.Fatalf("reading %d, writing %d", read, write)
	}
	next := withTLS(t, h.cfg, after)
	for was, is := range map[string]string{h.cfg.TLS.Certificate: next.TLS.Certificate, h.cfg.TLS.Key: next.TLS.Key, h.cfg.TLS.ClientCA: next.TLS.ClientCA} {
		if err := os.Rename(is, was); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	if read, write := answers(t, old); read != 403 || write != 403 {
		t.Errorf("by a connection of before: reading %d, writing %d", read, write)
	}
	old.Close()
	if read, write := answers(t, old); read != 0 || write != 0 {
		t.Errorf("by a certificate of before: reading %d, writing %d", read, write)
	}
	now := by(t, h.cfg.Listen, after, after.holder(t, "operator", x509.ExtKeyUsageClientAuth, time.Time{}))
	if read, write := answers(t, now); read != 200 || write != 200 {
		t.Errorf("by a new one: reading %d, writing %d", read, write)
	}
	if err := os.WriteFile(h.cfg.TLS.ClientCA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.server.Set(h.cfg); err == nil || !strings.Contains(err.Error(), "there is no certificate in "+h.cfg.TLS.ClientCA) {
		t.Error(err)
	}
	if read, _ := answers(t, now); read != 200 {
		t.Error("with a file that is damaged, the certificates of before do not hold any more")
	}
	h.cfg.Listen, h.cfg.TLS = netip.AddrPort{}, config.ServerTLS{}
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	now.Close()
	if read, _ := answers(t, now); read != 0 {
		t.Error("without a listener in the file, it answers")
	}
}

func TestAPageOfAnotherSiteCannotWrite(t *testing.T) {
	ca := newAuthority(t, "ours")
	h := serving(t, func(cfg *config.API) { *cfg = withTLS(t, *cfg, ca) })
	c := by(t, h.cfg.Listen, ca, ca.holder(t, "operator", x509.ExtKeyUsageClientAuth, time.Time{}))
	r, err := http.NewRequestWithContext(t.Context(), "POST", c.base+"/v1/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || h.fake.reloads.Load() != 0 {
		t.Errorf("%s, %d reloads", answer.Status, h.fake.reloads.Load())
	}
}

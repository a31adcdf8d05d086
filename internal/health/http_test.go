package health

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// web serves the handler by HTTP/1 and 2, in the clear or by TLS.
func web(t *testing.T, secure bool, handler http.HandlerFunc) (netip.AddrPort, *httptest.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, Protocols: new(http.Protocols)}, EnableHTTP2: true}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = quiet
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(l.Addr().String()), s
}

// pages is a site with a page for each way to go wrong.
func pages(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		fmt.Fprint(w, "all is well")
	case "/echo":
		fmt.Fprintf(w, "%s %s %s %q %q", r.Proto, r.Method, r.Host, r.Header["X-A"], r.Header.Get("Connection"))
	case "/gone":
		http.Error(w, "gone", http.StatusGone)
	case "/moved":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/slow":
		w.(http.Flusher).Flush()
		for range 20 {
			fmt.Fprint(w, ".")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second / 10)
		}
	case "/large":
		_, _ = w.Write(make([]byte, 3<<20))
	case "/padding":
		n := 0
		for _, line := range r.Header[paddingHeader] {
			n += len(line)
		}
		fmt.Fprint(w, n)
	}
}

func TestHTTP(t *testing.T) {
	at, _ := web(t, false, pages)
	get := func(r Request) Spec { return Spec{Kind: "http", HTTP: HTTP{Request: r}} }
	quick := func(s Spec) Spec { s.Timeout = short; return s }
	version := func(v string, r Request) Spec { return Spec{Kind: "http", HTTP: HTTP{Request: r, Version: v}} }
	many := func(r ...Request) Spec {
		return Spec{Kind: "http", HTTP: HTTP{Requests: r, Request: Request{Headers: map[string]string{"X-A": "b"}}}}
	}
	judge(t, []outcome{
		{"well", get(Request{}), at, true, "status 200"},
		{"refused", get(Request{}), nobody(t), false, "connection refused"},
		{"the wrong status", get(Request{Path: "/gone"}), at, false, "status 410"},
		{"that status is right", get(Request{Path: "/gone", Status: "200 400-499"}), at, true, "status 410"},
		{"redirections are not followed", get(Request{Path: "/moved"}), at, false, "status 302"},
		{"the right body", get(Request{Body: "(?i)ALL is"}), at, true, ""},
		{"the wrong body", get(Request{Body: "ill"}), at, false, `does not match: "all is well"`},
		{"what it must not say", get(Request{NotBody: "we.l"}), at, false, `must not: "well"`},
		{"what it must not say and does not", get(Request{NotBody: "ill"}), at, true, ""},
		{"the right digest", get(Request{MD5: "4409BB950A3826C313C34B46B429AC84"}), at, true, ""},
		{"the other right digest", get(Request{SHA256: "f70579cce37a17bd1c4c4061b0beff0fbf58853a2f0c72a14f93c8f30c6b7cec"}), at, true, ""},
		{"the wrong digest", get(Request{MD5: "91a89e3fdc9be4d1f1bda0bd58eed6af"}), at, false, "digest of the body is 4409bb950a3826c313c34b46b429ac84"},
		{"the digest of a large body", get(Request{Path: "/large", SHA256: "bbd05cf6097ac9b1f89ea29d2542c1b7b67ee46848393895f5a9e43fa1f621e5"}), at, true, ""},
		{"a large body that nobody asks about", get(Request{Path: "/large"}), at, true, ""},
		{"method, host and headers", get(Request{Path: "/echo", Method: "PUT", Host: "www.example.org", Headers: map[string]string{"x-a": "b"}, Body: `^HTTP/1.1 PUT www.example.org \["b"\] "close"$`}), at, true, ""},
		{"the host is the address", get(Request{Path: "/echo", Body: "GET " + at.String()}), at, true, ""},
		{"a head has no body", get(Request{Method: "HEAD"}), at, true, ""},
		{"version 1.0", version("1.0", Request{Path: "/echo", Body: `^HTTP/1.0 GET .* ""$`}), at, true, ""},
		{"version 2", version("2", Request{Path: "/echo", Host: "www.example.org", Headers: map[string]string{"X-A": "c"}, Body: `^HTTP/2.0 GET www.example.org \["c"\]`}), at, true, ""},
		{"version 2 of a server that has it not", quick(version("2", Request{})), serve(t, says("HTTP/1.1 200 OK\r\n\r\n")), false, ""},
		{"several requests", many(Request{}, Request{Path: "/echo", Body: `"b"`}), at, true, ""},
		{"one of several fails", many(Request{}, Request{Path: "/gone"}), at, false, "/gone: status 410"},
		{"silence", quick(get(Request{})), serve(t, silent), false, "no answer within 300ms"},
		{"a header a byte a second", quick(get(Request{})), serve(t, trickles("HTTP/1.1 200 OK\r\n\r\n")), false, "no answer within 300ms"},
		{"a body that trickles", quick(get(Request{Path: "/slow"})), at, false, "no whole answer within 300ms"},
		{"a body that trickles by version 2", quick(version("2", Request{Path: "/slow"})), at, false, "no whole answer within 300ms"},
		{"a body that ends early", get(Request{}), serve(t, says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")), false, "unexpected EOF"},
		{"no HTTP at all", get(Request{}), serve(t, says("220 well\r\n\r\n")), false, "malformed HTTP"},
		{"closed at once", get(Request{}), serve(t, func(net.Conn) {}), false, ""},
		{"full packets", Spec{Kind: "http", FullMTU: true, HTTP: HTTP{Request: Request{Path: "/padding", Body: `^\d{5}$`}}}, at, true, ""},
	})
}

// written puts a block of PEM into a file.
func written(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestHTTPSAndTLS(t *testing.T) {
	at, server := web(t, true, pages)
	ca := written(t, "CERTIFICATE", server.Certificate().Raw)
	no := false
	old := serve(t, func(c net.Conn) {
		config := server.TLS.Clone()
		config.MaxVersion, config.MinVersion = tls.VersionTLS11, tls.VersionTLS10
		_ = tls.Server(c, config).Handshake()
	})
	echo := Request{Path: "/echo"}
	https := func(v string, tlsSpec *TLS, body string) Spec {
		r := echo
		r.Body, r.Host = body, "example.com"
		return Spec{Kind: "https", TLS: tlsSpec, HTTP: HTTP{Request: r, Version: v}}
	}
	handshake := func(tlsSpec *TLS) Spec { return Spec{Kind: "tls", TLS: tlsSpec, Timeout: Duration(time.Second)} }
	judge(t, []outcome{
		{"a server prefers 2", https("", &TLS{CA: ca}, "HTTP/2.0 GET example.com"), at, true, "status 200"},
		{"1.1 when asked for", https("1.1", &TLS{CA: ca}, "HTTP/1.1 GET example.com"), at, true, ""},
		{"1.0 when asked for", https("1.0", &TLS{CA: ca}, "HTTP/1.0 GET example.com"), at, true, ""},
		{"2 when asked for", https("2", &TLS{CA: ca}, "HTTP/2.0 GET example.com"), at, true, ""},
		{"the wrong body by TLS", https("", &TLS{CA: ca}, "ill"), at, false, "does not match"},
		{"an unknown CA", https("", nil, ""), at, false, "unknown authority"},
		{"whatever certificate there is", https("", &TLS{Verify: &no}, ""), at, true, ""},
		{"another name", https("", &TLS{CA: ca, ServerName: "other.example.org"}, ""), at, false, "not other.example.org"},
		{"no TLS there", https("", &TLS{Verify: &no, MinVersion: "1.0"}, ""), serve(t, says("HTTP/1.1 400 no\r\n\r\n")), false, "does not look like a TLS handshake"},
		{"a handshake that trickles", Spec{Kind: "https", Timeout: short}, serve(t, trickles("\x16\x03\x01\x00\x50....")), false, "no TLS handshake within 300ms"},
		{"a handshake", handshake(&TLS{CA: ca, ServerName: "example.com"}), at, true, "TLS 1.3"},
		{"a handshake with a stranger", handshake(nil), at, false, "certificate"},
		{"a handshake with silence", Spec{Kind: "tls", Timeout: short}, serve(t, silent), false, "no TLS handshake within 300ms"},
		{"a handshake refused", handshake(nil), nobody(t), false, "connection refused"},
		{"an old version", handshake(&TLS{Verify: &no}), old, false, "protocol version"},
		{"an old version, when asked for", handshake(&TLS{Verify: &no, MinVersion: "1.0"}), old, true, "TLS 1.1"},
		{"a newer version than there is", handshake(&TLS{Verify: &no, MinVersion: "1.3"}), old, false, "protocol version"},
	})
}

func TestTheServerSeesTheNameAndTheClientsCertificate(t *testing.T) {
	_, other := web(t, true, pages)
	pair := other.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, keyFile := written(t, "CERTIFICATE", pair.Certificate[0]), written(t, "PRIVATE KEY", key)
	names := make(chan string, 4)
	at := serve(t, func(c net.Conn) {
		config := &tls.Config{Certificates: other.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert}
		config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- h.ServerName
			return nil, nil
		}
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			_, _ = io.Copy(io.Discard, s)
		}
	})
	no := false
	s := Spec{Kind: "tls", TLS: &TLS{Verify: &no, ServerName: "sni.example.org", Cert: cert, Key: keyFile}}
	if r := check(t, s, Target{Addr: at}); !r.Up {
		t.Errorf("%+v", r)
	}
	if name := <-names; name != "sni.example.org" {
		t.Errorf("SNI is %q", name)
	}
	s.TLS = &TLS{Verify: &no}
	check(t, s, Target{Addr: at})
	if name := <-names; name != "" {
		t.Errorf("an address is sent as a name: %q", name)
	}
}

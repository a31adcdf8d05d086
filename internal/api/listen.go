package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// prepare looks up what the file names, and reads the certificates.
func prepare(cfg config.API) (*access, *tls.Config, error) {
	a := &access{group: -1, writers: cfg.TLS.Writers}
	if cfg.Group != "" {
		g, err := user.LookupGroup(cfg.Group)
		if err != nil {
			return nil, nil, fmt.Errorf("api.group: %w: `groupadd %s` makes it", err, cfg.Group)
		}
		if a.group, err = strconv.Atoi(g.Gid); err != nil {
			return nil, nil, fmt.Errorf("api.group %s: its number is %q", cfg.Group, g.Gid)
		}
	}
	if !cfg.Listen.IsValid() {
		return a, nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(cfg.TLS.Certificate, cfg.TLS.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("api.tls: certificate %s with key %s: %w", cfg.TLS.Certificate, cfg.TLS.Key, err)
	}
	text, err := os.ReadFile(cfg.TLS.ClientCA)
	if err != nil {
		return nil, nil, fmt.Errorf("api.tls.clientCA: %w", err)
	}
	a.roots = x509.NewCertPool()
	if !a.roots.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("api.tls.clientCA: there is no certificate in %s: it has to be PEM", cfg.TLS.ClientCA)
	}
	return a, &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: a.roots, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}, nil
}

// hall is a listener with so many places: who finds none waits before the door, in the
// kernel's queue. (netutil.LimitListener hides the socket, which peerOf asks.)
type hall struct {
	net.Listener
	places chan struct{}
}

func (h hall) Accept() (net.Conn, error) {
	h.places <- struct{}{}
	c, err := h.Listener.Accept()
	if err != nil {
		<-h.places
		return nil, err
	}
	return &guest{Conn: c, leave: sync.OnceFunc(func() { <-h.places })}, nil
}

// guest gives up its place when it goes.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}

func listen(kind doorKind, where string, group int) (net.Listener, error) {
	if kind == unixDoor {
		return listenUnix(where, group)
	}
	l, err := net.Listen("tcp", where)
	if err != nil {
		return nil, fmt.Errorf("api.listen: %w", err)
	}
	return l, nil
}

// listenUnix makes the socket. One that nobody listens at is what a director that was
// killed has left.
func listenUnix(path string, group int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("api.socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("api.socket: %s is there and is no socket: name another, or remove it", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("api.socket: another director listens at %s: end it, or name another socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("api.socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("api.socket: %w", err)
	}
	if err := permit(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// permit lets the group, or root alone, connect. Who has connected is looked at all
// the same.
func permit(path string, group int) error {
	mode := fs.FileMode(0o600)
	if group >= 0 {
		mode = 0o660
	}
	if err := errors.Join(os.Chown(path, -1, max(group, 0)), os.Chmod(path, mode)); err != nil {
		return fmt.Errorf("api.socket: %w", err)
	}
	return nil
}

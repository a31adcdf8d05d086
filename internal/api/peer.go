package api

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peer is who is at the other end of a Unix socket: as the kernel noted it when the
// connection was made.
type peer struct {
	pid      int32
	uid, gid uint32
	groups   []uint32
}

// String names the peer in the log.
func (p peer) String() string { return fmt.Sprintf("uid %d, pid %d", p.uid, p.pid) }

// peerOf asks the kernel. It is a system call on a socket, not a message of the peer.
func peerOf(c net.Conn) (p peer, err error) {
	if g, ok := c.(*guest); ok {
		c = g.Conn
	}
	u, ok := c.(syscall.Conn)
	if !ok {
		return p, errors.New("not a socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return p, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = fmt.Errorf("SO_PEERCRED: %w", err)
			return
		}
		p.pid, p.uid, p.gid = cred.Pid, cred.Uid, cred.Gid
		p.groups, failed = peerGroups(int(fd))
	})
	return p, errors.Join(err, failed)
}

// peerGroups are the supplementary groups of the peer.
func peerGroups(fd int) ([]uint32, error) {
	for size := 32; ; {
		groups := make([]uint32, size)
		length := uint32(size) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&length)), 0)
		switch {
		case errno == unix.ERANGE && int(length)/4 > size: // how many there are
			size = int(length) / 4
		case errno != 0:
			return nil, fmt.Errorf("SO_PEERGROUPS: %w", errno)
		default:
			return groups[:length/4], nil
		}
	}
}

// rights are what somebody may do.
type rights int

const (
	nothing rights = iota
	reading
	writing
)

// access is who may do what.
type access struct {
	// group may read through the socket; -1 for none.
	group int
	// roots are the authorities of clients of the TLS listener, nil if there is
	// none. Writers are the names of those who may write.
	roots   *x509.CertPool
	writers []string
}

// ofPeer is what the peer of a socket may do: root, and the director's own user, may
// write.
func (a access) ofPeer(p peer) rights {
	switch {
	case p.uid == 0 || int(p.uid) == os.Geteuid():
		return writing
	case a.group >= 0 && (p.gid == uint32(a.group) || slices.Contains(p.groups, uint32(a.group))):
		return reading
	}
	return nothing
}

// ofRequest is what a client of the TLS listener may do. Its certificate is verified
// anew, as a connection may outlive it, or the authority.
func (a access) ofRequest(r *http.Request) (who string, may rights) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || a.roots == nil {
		return "nobody", nothing
	}
	cert, between := r.TLS.PeerCertificates[0], x509.NewCertPool()
	for _, c := range r.TLS.PeerCertificates[1:] {
		between.AddCert(c)
	}
	who = fmt.Sprintf("certificate %q, %s", cert.Subject.CommonName, r.RemoteAddr)
	_, err := cert.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return who, nothing
	}
	for _, name := range append(slices.Clone(cert.DNSNames), cert.Subject.CommonName) {
		if name != "" && slices.Contains(a.writers, name) {
			return who, writing
		}
	}
	return who, reading
}

package ipvsadm

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Names turns names of hosts and services into numbers and back.
type Names interface {
	HostAddr(name string) (netip.Addr, bool) // IPv4 only
	HostName(addr netip.Addr) (string, bool)
	ServicePort(name, protocol string) (uint16, bool)
	ServiceName(port uint16, protocol string) (string, bool)
}

// ServiceFile is what a services file says. The first line that fits wins.
type ServiceFile []serviceLine

type serviceLine struct {
	port     uint16
	protocol string
	names    []string // the first is the name, the others are aliases
}

// ReadServices reads the lines of a services file that make sense, as
// getservbyname does.
func ReadServices(r io.Reader) ServiceFile {
	var file ServiceFile
	for lines := bufio.NewScanner(r); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		port, protocol, _ := strings.Cut(fields[1], "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			continue
		}
		names := append([]string{fields[0]}, fields[2:]...)
		file = append(file, serviceLine{uint16(n), protocol, names})
	}
	return file
}

// ServicePort is the port of the service called name.
func (f ServiceFile) ServicePort(name, protocol string) (uint16, bool) {
	for _, s := range f {
		if s.protocol != protocol {
			continue
		}
		for _, n := range s.names {
			if n == name {
				return s.port, true
			}
		}
	}
	return 0, false
}

// ServiceName is the name of the service on port.
func (f ServiceFile) ServiceName(port uint16, protocol string) (string, bool) {
	for _, s := range f {
		if s.port == port && s.protocol == protocol {
			return s.names[0], true
		}
	}
	return "", false
}

// systemNames asks this system: its resolver, and /etc/services when a name is
// first needed.
type systemNames struct {
	ctx      context.Context
	services func() ServiceFile
}

// SystemNames are the names this system knows. Looking up a host may take as
// long as the resolver does, or until ctx ends.
func SystemNames(ctx context.Context) Names {
	return systemNames{ctx, sync.OnceValue(func() ServiceFile {
		f, err := os.Open("/etc/services")
		if err != nil {
			return nil // numbers still work
		}
		defer f.Close()
		return ReadServices(f)
	})}
}

// HostAddr takes the first IPv4 address. As to glibc, a name of the IPv6 loopback
// address is one of the IPv4 one too.
func (s systemNames) HostAddr(name string) (netip.Addr, bool) {
	if bare, dotted := strings.CutSuffix(name, "."); dotted && inHostsFile(bare) {
		return netip.Addr{}, false // Go finds it there, the C library does not
	}
	if addrs, err := net.DefaultResolver.LookupNetIP(s.ctx, "ip4", name); err == nil && len(addrs) > 0 {
		return addrs[0].Unmap(), true
	}
	addrs, err := net.DefaultResolver.LookupNetIP(s.ctx, "ip6", name)
	if err != nil || len(addrs) == 0 || addrs[0] != netip.IPv6Loopback() {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
}

// inHostsFile reports whether the hosts file has a line for name.
func inHostsFile(name string) bool {
	text, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if names := strings.Fields(line); len(names) > 1 && slices.Contains(names[1:], name) {
			return true
		}
	}
	return false
}

func (s systemNames) HostName(addr netip.Addr) (string, bool) {
	names, err := net.DefaultResolver.LookupAddr(s.ctx, addr.String())
	if err != nil || len(names) == 0 {
		return "", false
	}
	return strings.TrimSuffix(names[0], "."), true
}

func (s systemNames) ServicePort(name, protocol string) (uint16, bool) {
	return s.services().ServicePort(name, protocol)
}

func (s systemNames) ServiceName(port uint16, protocol string) (string, bool) {
	return s.services().ServiceName(port, protocol)
}

package ipvsadm

import (
	"net/netip"
	"strings"
)

// fileNames are the names of the recordings: these hosts, and the services of
// Debian that occur in them.
type fileNames struct {
	ServiceFile
	hosts map[string]netip.Addr
}

var testNames = fileNames{
	ServiceFile: ReadServices(strings.NewReader(`
# name          port/protocol  aliases
echo            7/tcp
ftp-data        20/tcp
ftp             21/tcp
ssh             22/tcp
smtp            25/tcp         mail
domain          53/tcp
domain          53/udp
tftp            69/udp
http            80/tcp         www
ntp             123/udp
https           443/tcp
https           443/udp
shell           514/tcp        cmd syslog
syslog          514/udp
mysql           3306/tcp
sip             5060/tcp
sip             5060/udp
mdns            5353/udp
http-alt        8080/tcp       webcache
`)),
	hosts: map[string]netip.Addr{
		"localhost":     netip.MustParseAddr("127.0.0.1"),
		"ip6-localhost": netip.MustParseAddr("::1"),
		"vip.example":   netip.MustParseAddr("198.51.100.129"),
		"rs1.example":   netip.MustParseAddr("203.0.113.1"),
		"vip6.example":  netip.MustParseAddr("2001:db8:2::81"),
	},
}

func (f fileNames) HostAddr(name string) (netip.Addr, bool) {
	addr, ok := f.hosts[strings.ToLower(name)]
	if addr == netip.IPv6Loopback() {
		addr = f.hosts["localhost"]
	}
	return addr, ok && addr.Is4()
}

func (f fileNames) HostName(addr netip.Addr) (string, bool) {
	for name, a := range f.hosts {
		if a == addr {
			return name, true
		}
	}
	return "", false
}

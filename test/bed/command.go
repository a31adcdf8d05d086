package bed

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/conformance"
)

// names are those that the recordings were made with: of some hosts, and of the
// services that occur.
type names struct{ ipvsadm.ServiceFile }

var hosts = map[string]netip.Addr{
	"vip.example":  netip.MustParseAddr("198.51.100.129"),
	"rs1.example":  netip.MustParseAddr("203.0.113.1"),
	"vip6.example": netip.MustParseAddr("2001:db8:2::81"),
}

var recorded = names{ipvsadm.ReadServices(strings.NewReader("http 80/tcp\ndomain 53/udp\nmdns 5353/udp\nhttp-alt 8080/tcp\n"))}

func (names) HostAddr(name string) (netip.Addr, bool) {
	addr, ok := hosts[name]
	return addr, ok
}

func (names) HostName(addr netip.Addr) (string, bool) {
	for name, a := range hosts {
		if a == addr {
			return name, true
		}
	}
	return "", false
}

// keep is the director's table as ipvsadm gets it: it stays open.
type keep struct{ ipvsadm.Table }

func (keep) Close() error { return nil }

// Ipvsadm runs the command on the director's table.
func (b *Bed) Ipvsadm(argv ...string) (stdout, stderr string, exit int) {
	var out, errs bytes.Buffer
	exit = ipvsadm.Main(context.Background(), "ipvsadm", argv,
		ipvsadm.Streams{In: strings.NewReader(""), Out: &out, Err: &errs},
		ipvsadm.Host{
			Open:  func(context.Context) (ipvsadm.Table, error) { return keep{b.table}, nil },
			Names: recorded,
		})
	return out.String(), errs.String(), exit
}

// Play runs a recorded command, and says in what it differed.
func (b *Bed) Play(s conformance.Step) error {
	stdout, stderr, exit := b.Ipvsadm(s.Argv...)
	if s.Masked != "" {
		stdout = conformance.MaskConns(stdout)
	}
	if stdout != s.Stdout || stderr != s.Stderr || exit != s.Exit {
		return fmt.Errorf("%s\n got exit %d, %q, %q\nwant exit %d, %q, %q", s, exit, stdout, stderr, s.Exit, s.Stdout, s.Stderr)
	}
	return nil
}

// mtu is that of every link, and leastMTU the smallest by which IPv6 stays as it is.
const mtu, leastMTU = 1500, 1280

// IP runs the ip command in the director. A bed whose links are made narrow, or whose
// neighbours are lost, is lent again; one that is changed in another way is not.
func (b *Bed) IP(args ...string) error {
	narrow := 0
	if len(args) == 5 && args[0] == "link" && args[1] == "set" && args[3] == "mtu" {
		narrow, _ = strconv.Atoi(args[4])
	}
	if args[0] == "neigh" || narrow >= leastMTU {
		b.bent = true
	} else {
		b.changed = true
	}
	out, err := exec.Command("ip", args...).CombinedOutput() // a child is in its parent thread's namespace
	if err != nil {
		return fmt.Errorf("ip %q: %w: %s", args, err, out)
	}
	return nil
}

// Sysctl sets "name=value" in the director.
func (b *Bed) Sysctl(setting string) error {
	name, value, _ := strings.Cut(setting, "=")
	if strings.HasPrefix(name, "net.ipv4.vs.") {
		return b.table.SetSysctl(name, value)
	}
	b.changed = true
	path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
	return os.WriteFile(path, []byte(value), 0)
}

// Mark gives packets a firewall mark before the data path looks for a service.
func (b *Bed) Mark(m conformance.Mark) error {
	dst, err := netip.ParsePrefix(m.Dst)
	if err != nil {
		return err
	}
	rule := ipvs.MarkRule{Destination: dst, Mark: m.Mark}
	if m.Proto != "" {
		rule.Protocol = ipvs.Protocol(protocols[m.Proto])
	}
	if m.Dport != 0 {
		rule.Ports = []ipvs.PortRange{{Low: m.Dport, High: m.Dport}}
	}
	return b.table.AddMark(rule)
}

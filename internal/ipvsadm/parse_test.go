package ipvsadm

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

func fields(line string) []string { return strings.Fields(line) }

func TestACommandLineIsUnderstood(t *testing.T) {
	vip := netip.MustParseAddrPort("198.51.100.129:80")
	for _, c := range []struct {
		name, line string
		check      func(op Operation) bool
	}{
		{"no arguments list the table", "",
			func(op Operation) bool { return op.Command == List && op.Show == ShowServices }},
		{"a cluster ends with the argument of its last option", "-At 198.51.100.129:80",
			func(op Operation) bool { return op.Service.Addr == vip }},
		{"an argument may be glued to its option", "-At198.51.100.129:80 -swrr",
			func(op Operation) bool { return op.Service.Addr == vip && op.Service.Scheduler == "wrr" }},
		{"an argument may follow an equals sign", "--add-service --tcp-service=198.51.100.129:80 -p=5",
			func(op Operation) bool { return op.Service.Addr == vip && op.Service.Timeout == 5 }},
		{"a service without a scheduler gets wlc", "-A -t 198.51.100.129:80",
			func(op Operation) bool { return op.Service.Scheduler == sched.Default }},
		{"persistence without a timeout lasts six minutes", "-A -p -t 198.51.100.129:80",
			func(op Operation) bool { return op.Service.Persistent && op.Service.Timeout == 360 }},
		{"a mark may be of IPv6", "-A -f 7 -6",
			func(op Operation) bool { return op.Service.ServiceKey == ipvs.ServiceMark(7, ipvs.IPv6) }},
		{"a netmask before an IPv6 address is forgotten", "-A -p -M 64 -t [2001:db8:2::81]:80",
			func(op Operation) bool { return !op.Service.Mask.IsValid() }},
		{"an IPv6 netmask is a prefix length", "-A -p -t [2001:db8:2::81]:80 -M 64",
			func(op Operation) bool { return op.Service.Mask == ipvs.MaskOf(64, ipvs.IPv6) }},
		{"a server that is routed to has the port of the service", "-a -t 198.51.100.129:80 -r 203.0.113.1:8080",
			func(op Operation) bool { return op.Destination.Addr == netip.MustParseAddrPort("203.0.113.1:80") }},
		{"a masqueraded server keeps its own port", "-a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m",
			func(op Operation) bool { return op.Destination.Addr == netip.MustParseAddrPort("203.0.113.1:8080") }},
		{"a masqueraded server named before the service has port 0", "-a -r 203.0.113.1 -t 198.51.100.129:80 -m",
			func(op Operation) bool { return op.Destination.Addr == netip.MustParseAddrPort("203.0.113.1:0") }},
		{"a server has weight 1 and is routed to", "-a -t 198.51.100.129:80 -r 203.0.113.1",
			func(op Operation) bool { return op.Destination.Weight == 1 && op.Destination.Method == ipvs.Route }},
		{"names stand for addresses and ports", "-A -t vip.example:http",
			func(op Operation) bool { return op.Service.Addr == vip }},
		{"a short address is an old spelling", "-A -t 198.51.100:80",
			func(op Operation) bool { return op.Service.Addr == netip.MustParseAddrPort("198.51.0.100:80") }},
		{"timeouts are words", "--set 900 120 300",
			func(op Operation) bool { return op.Timeouts.TCPFin == 120*time.Second }},
		{"flags belong to the scheduler wherever it is named", "-A -f 1 -b sh-port -s sh",
			func(op Operation) bool { return op.Service.SchedFlags == ipvs.SHPort }},
	} {
		t.Run(c.name, func(t *testing.T) {
			op, err := Parse(fields(c.line), testNames)
			if err != nil {
				t.Fatalf("%s: %v", c.line, err)
			}
			if !c.check(op) {
				t.Errorf("%s: got %+v", c.line, op)
			}
		})
	}
}

func TestTheFirstMistakeIsComplainedAbout(t *testing.T) {
	for _, c := range []struct {
		name, line, want string
		exit             int
	}{
		{"an option in the place of the command", "-n -L", tryHelp.Text, 255},
		{"a second command", "-A -D", "invalid option `-D'", 2},
		{"a bad letter in a cluster", "-Lnq", "-Lnq: unknown option", 255},
		{"an argument that is not wanted", "-L --stats=1", "--stats=1: option does not take an argument", 255},
		{"a missing argument", "-A -f 1 -s", "-s: missing argument", 255},
		{"a repeated option before its bad argument", "-A -f 1 -t bogus", "multiple 'service-address' options specified", 2},
		{"a bad argument before a missing service", "-A -M x", "illegal virtual server persistent mask specified", 2},
		{"a bad number before a bad word", "-a -w x extra", "illegal weight specified", 2},
		{"a word before bad flags", "-A extra -b junk", "unexpected argument extra", 2},
		{"bad flags before what is illegal", "-L -b junk", "invalid scheduler flag `junk'", 2},
		{"a missing service before what is illegal", "-a -s rr", "You need to supply the 'service-address' option for the 'add-server' command", 2},
		{"an illegal option before port zero", "-A -t 198.51.100.129 -w 1", "Illegal 'weight' option with the 'add-service' command", 2},
		{"the family before the tunnel options", "-a -f 1 -r 2001:db8::1 --tun-port 5", "Different address family is allowed only for tunneling servers", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(fields(c.line), testNames)
			var complaint *Complaint
			if !errors.As(err, &complaint) {
				t.Fatalf("%s: no complaint, but %v", c.line, err)
			}
			if complaint.Text != c.want || complaint.Exit != c.exit {
				t.Errorf("%s: %d %q, want %d %q", c.line, complaint.Exit, complaint.Text, c.exit, c.want)
			}
		})
	}
}

func TestTheTablesOfTheLanguageFit(t *testing.T) {
	var written groupSet
	spellings := map[string]bool{}
	for _, o := range options {
		written |= of(o.group)
		for _, s := range []string{"--" + o.long, "-" + string(rune(o.short))} {
			if s != "--" && s != "-\x00" && spellings[s] {
				t.Errorf("%s is written twice", s)
			}
			spellings[s] = true
		}
		if o.isCommand && o.command != Help && o.command != Version && rules[o.command].name == "" {
			t.Errorf("--%s is a command without a rule", o.long)
		}
		if o.arg != bare && o.apply == nil {
			t.Errorf("--%s takes an argument and does nothing with it", o.long)
		}
	}
	var ruled groupSet
	for _, r := range rules {
		ruled |= r.needs | r.takes | r.oneOf
	}
	for g := none + 1; g < groups; g++ {
		if !written.has(g) || !ruled.has(g) || groupNames[g] == "" {
			t.Errorf("the option %q has no spelling, no rule or no name", groupNames[g])
		}
	}
	for _, s := range sched.All {
		if s.Name != "twos" && !strings.Contains(usage, s.Name) {
			t.Errorf("help does not mention the scheduler %s", s.Name)
		}
	}
}

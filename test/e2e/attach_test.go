package e2e

import (
	"cmp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/internal/lab"
)

// attached are the rows of evs status about interfaces: its mode and doors.
func attached(t *testing.T, ns string) map[string]string {
	t.Helper()
	return rows(run(t, ns, "evs status"))
}

func rows(text string) map[string]string {
	_, table, _ := strings.Cut(text, "INTERFACE")
	of := map[string]string{}
	for line := range strings.Lines(table) {
		if strings.TrimSpace(line) == "" {
			break
		}
		if f := strings.Fields(line); f[0] != "MODE" {
			of[f[0]] = f[1] + " " + f[2]
		}
	}
	return of
}

// wantAttached compares with what evs status says and the kernel has: each
// interface with its mode and its doors.
func wantAttached(t *testing.T, ns string, want map[string]string) {
	t.Helper()
	got := attached(t, ns)
	if len(got) != len(want) {
		t.Errorf("attached: %v, want %v", got, want)
	}
	for iface, w := range want {
		if got[iface] != w {
			t.Errorf("%s: %q, want %q", iface, got[iface], w)
		}
		if doors := doors(t, ns, iface); doors != strings.Fields(w)[1] {
			t.Errorf("%s: the kernel has %s, want %s", iface, doors, w)
		}
	}
}

// doors are the programs that the kernel runs on an interface.
func doors(t *testing.T, ns, iface string) string {
	t.Helper()
	var open []string
	inside(t, ns, func() error {
		l, err := netlink.LinkByName(iface)
		if err != nil {
			return err
		}
		tc, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: ebpf.AttachTCXIngress})
		if err != nil {
			return err
		}
		if len(tc.Programs) > 0 {
			open = append(open, "tc")
		}
		if xdp := l.Attrs().Xdp; xdp != nil && xdp.Attached {
			open = append(open, "xdp")
		}
		return nil
	})
	return cmp.Or(strings.Join(open, "+"), "-")
}

func TestAnInterfaceThatAppearsLaterIsAttachedByTheNextCommand(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	wantAttached(t, ns, map[string]string{})
	run(t, ns, "ip link add v0 type veth peer name v1")
	wantAttached(t, ns, map[string]string{"v0": "auto -", "v1": "auto -"})
	run(t, ns, "ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m")
	wantAttached(t, ns, map[string]string{"v0": "auto tc", "v1": "auto tc"})
	run(t, ns, `
		ip link del v0
		ip link add v0 type veth peer name v2
		ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.2 -m -w 2`)
	wantAttached(t, ns, map[string]string{"v0": "auto tc", "v2": "auto tc"})
}

func TestADetachedInterfaceStaysOffUntilItIsAttached(t *testing.T) {
	ns := namespace(t)
	run(t, ns, `
		ip link add v0 type veth peer name v1
		ipvsadm -A -t 203.0.113.10:80 -s rr
		evs detach v0
		ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m`)
	wantAttached(t, ns, map[string]string{"v0": "off -", "v1": "auto tc"})
	run(t, ns, "evs attach --mode xdp v0")
	wantAttached(t, ns, map[string]string{"v0": "xdp tc+xdp", "v1": "auto tc"})
	run(t, ns, "evs attach --mode tc v0")
	wantAttached(t, ns, map[string]string{"v0": "tc tc", "v1": "auto tc"})
	run(t, ns, `
		evs detach
		ip link add v2 type veth peer name v3
		ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.2 -m -w 2`)
	wantAttached(t, ns, map[string]string{"v0": "off -", "v1": "off -", "v2": "off -", "v3": "off -"})
	run(t, ns, "evs attach")
	wantAttached(t, ns, map[string]string{"v0": "auto tc", "v1": "auto tc", "v2": "auto tc", "v3": "auto tc"})
}

func TestTheModeOfANamespaceMayBeSetBeforeItsFirstService(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ip link add v0 type veth peer name v1")
	said := run(t, ns, "evs attach --mode xdp")
	says(t, said, "v0         xdp   tc+xdp", "v1         xdp   tc+xdp")
	run(t, ns, `
		ip link add v2 type veth peer name v3
		ipvsadm -A -t 203.0.113.10:80 -s rr`)
	wantAttached(t, ns, map[string]string{"v0": "xdp tc+xdp", "v1": "xdp tc+xdp", "v2": "xdp tc+xdp", "v3": "xdp tc+xdp"})
	says(t, run(t, ns, "evs status"), "mode         xdp", "services     1")
}

func TestAnInterfaceThatCannotTakeTheProgramIsNamedAndEverythingStays(t *testing.T) {
	ns := namespace(t)
	run(t, ns, `
		ip link add v0 type veth peer name v1
		ip link add br0 type bridge
		ipvsadm -A -t 203.0.113.10:80 -s rr
		evs detach v1`)
	before := map[string]string{"v0": "auto tc", "v1": "off -", "br0": "auto tc"}
	wantAttached(t, ns, before)
	whole := pins(t, ns)
	for _, line := range []string{"evs attach --mode xdp br0", "evs attach --mode xdp", "evs attach --mode xdp v0 br0"} {
		said, err := try(t, ns, line)
		if err == nil {
			t.Errorf("%s: succeeded: %s", line, said)
		}
		says(t, said, "interface br0 cannot take the xdp program", "use `evs attach --mode tc br0`")
		oneSentence(t, said)
		wantAttached(t, ns, before)
	}
	for id := range pins(t, ns).links {
		if !whole.links[id] {
			t.Error("an interface that had its program was attached anew")
		}
	}
	for line, parts := range map[string][]string{
		"evs attach nosuch0":       {`no Ethernet interface "nosuch0"`, "ip link"},
		"evs attach --mode xdp lo": {"lo is never attached"},
		"evs detach v0 nosuch0":    {`no Ethernet interface "nosuch0"`},
		"evs attach --mode fast":   {`mode "fast"`, "auto, xdp or tc"},
	} {
		said, err := try(t, ns, line)
		if err == nil {
			t.Errorf("%s: succeeded: %s", line, said)
		}
		says(t, said, parts...)
		oneSentence(t, said)
		wantAttached(t, ns, before)
	}
}

func TestAnInterfaceThatRefusesXDPAndAppearsLaterDoesNotKeepTheTableFromBeingEdited(t *testing.T) {
	ns := namespace(t)
	run(t, ns, `
		ip link add v0 type veth peer name v1
		ipvsadm -A -t 203.0.113.10:80 -s rr
		evs attach --mode xdp
		ip link add br0 type bridge
		ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m`)
	wantAttached(t, ns, map[string]string{"v0": "xdp tc+xdp", "v1": "xdp tc+xdp", "br0": "xdp tc"})
	says(t, run(t, ns, "evs status"), "asked for, but refused: `evs attach --mode xdp br0` says why")
	run(t, ns, "evs attach --mode tc v1")
	wantAttached(t, ns, map[string]string{"v0": "xdp tc+xdp", "v1": "tc tc", "br0": "xdp tc"})
	said, err := try(t, ns, "evs attach --mode xdp br0")
	if err == nil {
		t.Errorf("succeeded: %s", said)
	}
	says(t, said, "its driver does not run XDP")
}

func TestTrafficGoesOnWhileInterfacesChangeTheirDoor(t *testing.T) {
	l := up(t, "doors", 2)
	ns := director(l)
	run(t, ns, natService)
	stop := stream(t, l, "http://"+vip+"/")
	for range 10 {
		run(t, ns, `
			evs attach --mode tc `+lab.DirectorInsideIface+`
			evs attach --mode auto
			ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.2 -m -w 2`)
	}
	if r := stop(); r.Failed() > 0 || r.Answered() == 0 {
		t.Errorf("%d answered, failures: %v", r.Answered(), r.Failures)
	}
}

// oneSentence checks that a complaint is one line and no stack trace.
func oneSentence(t *testing.T, said string) {
	t.Helper()
	if strings.Count(said, "\n") != 1 || strings.Contains(said, "goroutine ") {
		t.Errorf("not one sentence:\n%s", said)
	}
}

package hostnet

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ownNamespace moves the test to a network namespace of its own, with the veth
// pair eth0 and eth1.100 in it, and back when it ends.
func ownNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test works in a network namespace of its own and needs root: run it with sudo")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A thread that cannot go back stays locked and ends with the test.
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	})
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := AddVeth("eth0", "eth1.100", int(here), 0); err != nil {
		t.Fatal(err)
	}
}

// settings reads every setting of networking that can be read, not only those
// the package knows.
func settings(t *testing.T) Values {
	t.Helper()
	all := Values{}
	for _, family := range []string{"ipv4", "ipv6"} {
		root := "/proc/sys/net/" + family
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() || strings.Contains(path, "/neigh/") {
				return err
			}
			if b, err := os.ReadFile(path); err == nil {
				all[path] = string(b)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func sameSettings(t *testing.T, before, after Values) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if before[path] != after[path] {
			t.Errorf("%s was %q, is %q", path, before[path], after[path])
		}
	}
}

func write(t *testing.T, values Values) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := writeSysctl(key, values[key]); err != nil {
			t.Fatal(err)
		}
	}
}

func setup(t *testing.T, o Options) Report {
	t.Helper()
	r, err := Setup(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func teardown(t *testing.T, o Options) Report {
	t.Helper()
	r, err := Teardown(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTeardownRestoresEverySettingThatSetupChanged(t *testing.T) {
	for name, given := range map[string]struct {
		values Values
		ifaces []string
	}{
		"on a fresh kernel":     {Values{}, nil},
		"for one interface":     {Values{}, []string{"eth1.100"}},
		"on a strict host":      {Values{"net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth0.rp_filter": "1"}, nil},
		"on half a router":      {Values{"net.ipv4.conf.eth0.forwarding": "1", "net.ipv4.conf.all.accept_redirects": "0"}, nil},
		"on a router":           {Values{Forwarding4: "1", Forwarding6: "1", "net.ipv6.conf.eth0.accept_ra": "2"}, nil},
		"where IPv6 is off":     {Values{"net.ipv6.conf.all.disable_ipv6": "1"}, nil},
		"where a router learns": {Values{"net.ipv6.conf.eth0.accept_ra": "1", "net.ipv6.conf.eth0.forwarding": "1"}, []string{"eth1.100"}},
	} {
		t.Run(name, func(t *testing.T) {
			ownNamespace(t)
			write(t, given.values)
			o := Options{Interfaces: given.ifaces, RecordDir: t.TempDir()}
			before := settings(t)
			if r := setup(t, o); len(r.Changes) == 0 {
				t.Error("setup changed nothing")
			}
			facts, err := Read()
			if err != nil {
				t.Fatal(err)
			}
			if facts.Sysctl[Forwarding4] != "1" || facts.Sysctl["net.ipv4.conf.eth1/100.forwarding"] != "1" {
				t.Error("IPv4 is not forwarded")
			}
			if r := setup(t, o); len(r.Changes) > 0 {
				t.Errorf("the second setup changed %v", r.Changes)
			}
			teardown(t, o)
			sameSettings(t, before, settings(t))
			if left, _ := os.ReadDir(o.RecordDir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	ownNamespace(t)
	o := Options{DryRun: true, RecordDir: filepath.Join(t.TempDir(), "none")}
	before := settings(t)
	dry := setup(t, o)
	sameSettings(t, before, settings(t))
	if _, err := os.Stat(o.RecordDir); err == nil {
		t.Error("a record was made")
	}
	o.DryRun = false
	if wet := setup(t, o); !slices.Equal(dry.Changes, wet.Changes) {
		t.Errorf("the dry run said\n%v\nand then happened\n%v", dry.Changes, wet.Changes)
	}
	after := settings(t)
	o.DryRun = true
	teardown(t, o)
	sameSettings(t, after, settings(t))
}

// patient is a context that ends after it was asked so many times.
type patient struct {
	context.Context
	left int
}

func (p *patient) Err() error {
	if p.left--; p.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestSetupThatIsInterruptedTakesBackWhatItChanged(t *testing.T) {
	ownNamespace(t)
	o := Options{RecordDir: t.TempDir()}
	before := settings(t)
	for stop := range 5 {
		_, err := Setup(&patient{context.Background(), stop}, o)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing is changed") {
			t.Errorf("after %d changes: %v", stop, err)
		}
		sameSettings(t, before, settings(t))
		if left, _ := os.ReadDir(o.RecordDir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestSetupThatCrashedIsUndoneByTeardown(t *testing.T) {
	ownNamespace(t)
	o := Options{Interfaces: []string{"eth0"}, RecordDir: t.TempDir()}
	before := settings(t)
	dry := o
	dry.DryRun = true
	changes := setup(t, dry).Changes
	for stop := range len(changes) + 1 {
		have, err := Read()
		if err != nil {
			t.Fatal(err)
		}
		path, err := recordPath(o.RecordDir)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := loadRecord(path)
		if err != nil {
			t.Fatal(err)
		}
		rec.note(have, changes)
		if err := rec.save(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Apply(context.Background(), changes[:stop]); err != nil {
			t.Fatal(err)
		}
		teardown(t, o)
		sameSettings(t, before, settings(t))
	}
}

func TestAnUnwritableSettingIsNamedAndNothingIsLeftChanged(t *testing.T) {
	ownNamespace(t)
	before := settings(t)
	// The thread gets mounts of its own, so it must not go back to the pool.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	path := sysctlPath("net.ipv4.conf.eth0.send_redirects")
	for _, mount := range []struct {
		from, to string
		flags    uintptr
	}{{"", "/", unix.MS_REC | unix.MS_PRIVATE}, {path, path, unix.MS_BIND}, {"", path, unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY}} {
		if err := unix.Mount(mount.from, mount.to, "", mount.flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Setup(context.Background(), Options{Interfaces: []string{"eth0"}, RecordDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "net.ipv4.conf.eth0.send_redirects=0: /proc/sys is mounted read-only") {
		t.Errorf("error: %v", err)
	}
	sameSettings(t, before, settings(t))
}

func TestAnUnknownInterfaceIsNamedWithThoseThereAre(t *testing.T) {
	ownNamespace(t)
	before := settings(t)
	_, err := Setup(context.Background(), Options{Interfaces: []string{"eth0", "eth9"}, RecordDir: t.TempDir()})
	if err == nil || err.Error() != "interface eth9: there is none here; there are: eth0, eth1.100" {
		t.Errorf("error: %v", err)
	}
	sameSettings(t, before, settings(t))
}

func TestTeardownToleratesInterfacesThatVanishedAndValuesOfOthers(t *testing.T) {
	ownNamespace(t)
	o := Options{RecordDir: t.TempDir()}
	write(t, Values{"net.ipv4.conf.all.rp_filter": "1"})
	setup(t, o)
	write(t, Values{"net.ipv4.conf.default.rp_filter": "0"})
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(teardown(t, o).Notes, "\n")
	if !strings.Contains(said, "net.ipv4.conf.eth0.send_redirects is gone with its interface") {
		t.Errorf("said: %s", said)
	}
	facts, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if facts.Sysctl[Forwarding4] != "0" || facts.Sysctl["net.ipv4.conf.default.rp_filter"] != "0" {
		t.Errorf("not as it should be: %v", facts.Sysctl)
	}
}

func TestAnInterfaceThatCameAfterSetupFollowsTheSwitchBack(t *testing.T) {
	ownNamespace(t)
	o := Options{RecordDir: t.TempDir()}
	setup(t, o)
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := AddVeth("late0", "late1", int(here), 0); err != nil {
		t.Fatal(err)
	}
	// Something for the second setup to change and record.
	write(t, Values{"net.ipv4.conf.late0.send_redirects": "1"})
	if r := setup(t, o); len(r.Changes) != 1 {
		t.Errorf("the second setup changed %v", r.Changes)
	}
	teardown(t, o)
	facts, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"net.ipv4.conf.late0.forwarding": "0", "net.ipv4.conf.late1.forwarding": "0", "net.ipv6.conf.late1.forwarding": "0", "net.ipv4.conf.late0.send_redirects": "1"} {
		if facts.Sysctl[key] != want {
			t.Errorf("%s is %s, want %s", key, facts.Sysctl[key], want)
		}
	}
}

func TestAFirewallThatDropsIsReportedAndTheRemedyWorks(t *testing.T) {
	ownNamespace(t)
	ctx := context.Background()
	run := func(script string) {
		t.Helper()
		if _, err := listing(ctx, "sh", "-c", script); err != nil {
			t.Fatalf("%s: %v (this test needs nftables)", script, err)
		}
	}
	run(`nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }'`)
	findings, notes := CheckFirewall(ctx, []string{"eth0", "eth1.100"})
	if len(findings) != 1 || len(notes) > 0 || findings[0].Chain != "nftables chain inet filter forward" {
		t.Fatalf("findings %v, notes %v", findings, notes)
	}
	run(findings[0].Remedy)
	run(`nft list chain inet filter forward | grep -q 'oifname { "eth0", "eth1.100" } accept'`)
}

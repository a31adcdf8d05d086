package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/ipvs"
)

// ways are the ways into a namespace, as the beginning of a command line. ip
// netns exec has a /sys of its own, without the BPF file system.
func ways(ns string) []string {
	return []string{
		"ip netns exec " + ns,
		"nsenter --net=/run/netns/" + ns,
		"unshare --mount nsenter --net=/run/netns/" + ns,
		"ip netns exec " + ns + " unshare --mount",
	}
}

func TestTheTableIsTheSameByWhateverWayTheNamespaceWasEntered(t *testing.T) {
	for first, creator := range ways("") {
		t.Run(fmt.Sprintf("made by way %d, %s", first+1, creator), func(t *testing.T) {
			ns := namespace(t)
			run(t, "", ways(ns)[first]+" ipvsadm -A -t 203.0.113.10:80 -s rr")
			for i, way := range ways(ns) {
				run(t, "", fmt.Sprintf("%s ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.%d -m", way, i+2))
			}
			want := run(t, ns, "ipvsadm -Ln")
			if strings.Count(want, "Masq") != len(ways(ns)) {
				t.Errorf("the listing lacks destinations:\n%s", want)
			}
			for _, way := range ways(ns) {
				if got := run(t, "", way+" ipvsadm -Ln"); got != want {
					t.Errorf("%s: %s\nwant: %s", way, got, want)
				}
			}
			inside(t, ns, func() error { return sameFromHere(t) })
			until(t, 0, "the thread's destination is listed", func() (string, bool) {
				listing := run(t, "", "ip netns exec "+ns+" ipvsadm -Ln")
				return listing, strings.Contains(listing, "192.0.2.99:80")
			})
		})
	}
}

// sameFromHere reads and edits the table from this thread.
func sameFromHere(t *testing.T) error {
	table, err := ipvs.Open(t.Context())
	if err != nil {
		return err
	}
	defer table.Close()
	services, err := table.Services()
	if err != nil {
		return err
	}
	if len(services) != 1 || len(services[0].Destinations) != len(ways("")) {
		t.Errorf("a thread sees %+v", services)
	}
	return table.AddDestination(
		ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80")),
		ipvs.Destination{Addr: netip.MustParseAddrPort("192.0.2.99:80"), Weight: 1})
}

func TestAThreadSeesTheTableOfTheNamespaceItIsIn(t *testing.T) {
	here, there := namespace(t), namespace(t)
	run(t, here, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	run(t, there, "ipvsadm -A -u 203.0.113.10:53 -s rr")
	table, err := ipvs.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for _, want := range []struct {
		ns       string
		protocol ipvs.Protocol
	}{{here, ipvs.TCP}, {there, ipvs.UDP}, {here, ipvs.TCP}} {
		inside(t, want.ns, func() error {
			services, err := table.Services()
			if err == nil && (len(services) != 1 || services[0].Protocol != want.protocol) {
				t.Errorf("in %s a thread sees %+v", want.ns, services)
			}
			return err
		})
	}
}

func TestWhatACommandUnderIPNetnsExecPinnedIsInTheSharedFileSystem(t *testing.T) {
	ns := namespace(t)
	run(t, "", "ip netns exec "+ns+" ipvsadm -A -t 203.0.113.10:80 -s rr")
	table := filepath.Join(pinsDir(t, ns), "table")
	if _, err := os.Stat(table); err != nil {
		t.Error(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(table, &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		t.Errorf("%s is not on a BPF file system: %v", table, err)
	}
}

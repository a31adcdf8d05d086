package convert

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/config"
)

// names are the names of a system that knows none.
type names struct{}

func (names) HostAddr(string) (netip.Addr, bool)        { return netip.Addr{}, false }
func (names) HostName(netip.Addr) (string, bool)        { return "", false }
func (names) ServicePort(string, string) (uint16, bool) { return 0, false }
func (names) ServiceName(uint16, string) (string, bool) { return "", false }

var paper = Options{Files: config.Disk{}, Names: names{}, ConfigID: "main"}

// The tables were written by hand from keepalived.conf(5), and then compared with
// what keepalived 2.2.7 made of the same files on IPVS of Linux 6.1, asked by
// `ipvsadm -Sn` before its first check.
func TestTheTableBeginsAsKeepalivedWouldBeginIt(t *testing.T) {
	files, err := filepath.Glob("testdata/keepalived/*.conf")
	if err != nil || len(files) < 12 {
		t.Fatalf("files %v: %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			result, err := Convert("auto", file, paper)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".conf") + ".rules")
			if err != nil {
				t.Fatal(err)
			}
			d, wrong := config.Load("evs.yaml", only{"evs.yaml", result.Text})
			if wrong != nil {
				t.Fatalf("what was written is refused: %v\n%s", wrong, result.Text)
			}
			if got := config.Saved(d.Start()); got != string(want) {
				t.Errorf("the table begins as\n%s\nnot\n%s\nfrom\n%s\nnotes %v", got, want, result.Text, result.Notes)
			}
		})
	}
}

func TestWhatTwoServicesHaveIsTheFirstOnes(t *testing.T) {
	const conf = `virtual_server_group g {
  203.0.113.20 53
  203.0.113.20 53
  fwmark 7
}
virtual_server group g {
  protocol TCP
  real_server 192.0.2.2 53 {
  }
}
virtual_server group g {
  protocol UDP
  real_server 192.0.2.3 53 {
  }
}
`
	result := converted(t, "keepalived", conf)
	const want = `-A -t 203.0.113.20:53 -s wlc
-a -t 203.0.113.20:53 -r 192.0.2.2:53 -m -w 1
-A -u 203.0.113.20:53 -s wlc
-a -u 203.0.113.20:53 -r 192.0.2.3:53 -m -w 1
-A -f 7 -s wlc
-a -f 7 -r 192.0.2.2:53 -m -w 1
`
	if got := config.Saved(result.Desired.Start()); got != want || len(result.Notes) != 3 {
		t.Errorf("the table begins as\n%s\nnot\n%s\nnotes %v", got, want, result.Notes)
	}
}

func TestAServerIsAskedAtThePortThatItIsWrittenWith(t *testing.T) {
	for name, test := range map[string]struct {
		head, server string
		port         uint16 // of the check; 0 is the destination's
	}{
		"NAT, at the destination's":                 {"203.0.113.10 80 {\nlvs_method NAT", "192.0.2.2 8080", 0},
		"direct routing, at the service's":          {"203.0.113.10 80 {\nlvs_method DR", "192.0.2.2 80", 0},
		"direct routing, at another":                {"203.0.113.10 80 {\nlvs_method DR", "192.0.2.2 8080", 8080},
		"a mark, whose destination has none":        {"fwmark 5 {\nlvs_method DR", "192.0.2.2 80", 80},
		"a mark by NAT, at the destination's":       {"fwmark 5 {\nlvs_method NAT", "192.0.2.2 80", 0},
		"left out, at the service's":                {"203.0.113.10 80 {\nlvs_method DR", "192.0.2.2", 0},
		"port 0 of the service, at that of servers": {"203.0.113.10 0 {\npersistence_timeout 60\nlvs_method DR", "192.0.2.2 80", 80},
	} {
		result := converted(t, "keepalived", "virtual_server "+test.head+"\nprotocol TCP\nreal_server "+test.server+" {\nTCP_CHECK {\n}\n}\n}\n")
		if got := result.Desired.Services[0].Destinations[0].Check[0].Port; got != test.port {
			t.Errorf("%s: port %d, want %d", name, got, test.port)
		}
	}
}

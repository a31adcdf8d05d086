package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
)

// translation is what serves the VIP before EVS does, and like the kernel's IPVS
// it keeps its connections behind the interfaces, where EVS does not see them.
const translation = `table ip before {
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip daddr ` + vip + ` tcp dport 80 dnat to 192.0.2.2:80
	}
}
`

// TestMovingToEVSKeepsTheConnectionsOfBefore goes the way of docs/from-ipvs.md.
func TestMovingToEVSKeepsTheConnectionsOfBefore(t *testing.T) {
	l := up(t, "moving", 2)
	ns := director(l)
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(translation), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, ns, "nft -f "+file)
	old := client(t, l)
	wantAnswers(t, "before", old, "server1")

	run(t, ns, `evs attach
evs detach
ipvsadm -A -t `+vip+`:80 -s rr
ipvsadm -a -t `+vip+`:80 -r 192.0.2.3 -m`)
	wantAnswers(t, "the table is made and switched off: an old connection", old, "server1")
	wantAnswers(t, "the table is made and switched off: a new connection", client(t, l), "server1")

	run(t, ns, "evs attach")
	for range 5 {
		wantAnswers(t, "attached: an old connection", old, "server1")
		wantAnswers(t, "attached: a new connection", client(t, l), "server2")
	}
	says(t, run(t, ns, "evs status"), "not_a_start")

	run(t, ns, "evs detach")
	wantAnswers(t, "back again: an old connection", old, "server1")
	wantAnswers(t, "back again: a new connection", client(t, l), "server1")
}

// client keeps its one connection open.
func client(t *testing.T, l *lab.Lab) *http.Client {
	transport := &http.Transport{DialContext: l.Dial(lab.ClientNode(1)), MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

func wantAnswers(t *testing.T, when string, c *http.Client, want string) {
	t.Helper()
	answer, err := c.Get("http://" + vip + "/")
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if got := string(body); err != nil || got != want && got != want+"\n" {
		t.Fatalf("%s: %q answers, not %s (%v)", when, got, want, err)
	}
}

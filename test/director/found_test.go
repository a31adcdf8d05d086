package director

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestServersThatAreFoundAndWeightsThatAreToldReachTheTable(t *testing.T) {
	t.Parallel()
	l := cluster.Up(t, lab.Spec{Name: "t-found", Servers: 3})
	d := newDaemon(t, l)
	found, load := filepath.Join(d.dir, "found.yaml"), filepath.Join(d.dir, "load-192.0.2.2")
	put := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	put(found, "- server: 192.0.2.3:80\n")
	d.write(strings.ReplaceAll(`services:
- name: web
  tcp: 203.0.113.10:80
  scheduler: wrr
  method: masq
  check: {kind: tcp, interval: 300ms}
  discovery: [{kind: file, file: DIR/found.yaml, interval: 200ms}]
  destinations:
  - server: 192.0.2.2:80
    weightSource: {kind: file, file: "DIR/load-{server}", interval: 200ms, smoothing: 0s, maxChange: 200%, staleAfter: 2500ms}
`, "DIR", d.dir))
	d.start()
	put(load, "50\n") // a number grows stale from when it was written
	awaitWeights(t, l, 4*time.Second, "192.0.2.2=50 192.0.2.3=100")
	put(found, "- server: 192.0.2.4:80\n  weight: 3\n- server: 192.0.2.3:80\n")
	put(load, "80\n")
	awaitWeights(t, l, 4*time.Second, "192.0.2.2=80 192.0.2.3=100 192.0.2.4=300")
	put(found, "- server: 192.0.2.4:80\n  weight: 3\n")
	put(load, "80\n")
	awaitWeights(t, l, 3*time.Second, "192.0.2.2=80 192.0.2.4=300")
	from := len(d.said())
	put(found, "- servr: 192.0.2.3:80\n")
	d.await(from, "discovery web file/0", "servr")
	d.kill()
	if err := os.Remove(load); err != nil {
		t.Fatal(err)
	}
	d.start()
	if got := weights(t, l); got != "192.0.2.2=80 192.0.2.4=300" {
		t.Errorf("started again, the weights are %s", got)
	}
	d.await(from, "weight source of web 192.0.2.2:80")
	awaitWeights(t, l, 6*time.Second, "192.0.2.2=100 192.0.2.4=300")
}

package upgrades

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// asked returns how often the environment wants something, or so often.
func asked(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number, as in %s=100", variable, text, variable)
	}
	return n
}

// balanced brings up a lab whose director balances by masquerading.
func balanced(t *testing.T) *lab.Lab {
	t.Helper()
	l := cluster.Up(t, lab.Spec{Name: "t-upgrade"})
	for _, protocol := range []string{"-t", "-u"} {
		cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -A %s %s:%d -s rr", protocol, lab.VIP(4), port))
		for i := range l.Servers {
			cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -a %s %s:%d -r %s:%d -m", protocol, lab.VIP(4), port, lab.ServerAddr(i+1, 4), port))
		}
	}
	return l
}

func TestUpgradesLoseNothing(t *testing.T) {
	l := balanced(t)
	x := start(t, l, asked(t, "EVS_LONG", 50), 2)
	for range asked(t, "EVS_UPGRADES", 3) {
		cluster.On(t, l, lab.Director, "evs upgrade")
	}
	x.end()
}

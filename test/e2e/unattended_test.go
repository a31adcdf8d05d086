package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
)

// nobodyHome checks that no process of EVS is in the namespace.
func nobodyHome(t *testing.T, ns string) {
	t.Helper()
	for _, name := range processes(t, ns) {
		if strings.HasPrefix(name, "evs") || strings.HasPrefix(name, "ipvsadm") {
			t.Errorf("%s runs in %s", name, ns)
		}
	}
}

func TestWithNoProcessOfEVSRequestsAreAnsweredAndCounted(t *testing.T) {
	l := up(t, "alone", 2)
	run(t, director(l), natService)
	nobodyHome(t, director(l))
	load(t, l, "http://"+vip+"/", 100, 4)
	before := stats(t, director(l), vip+":80")
	nobodyHome(t, director(l))
	load(t, l, "http://"+vip+"/", 300, 4)
	after := stats(t, director(l), vip+":80")
	if after[0]-before[0] != 300 {
		t.Errorf("300 connections, %d were counted", after[0]-before[0])
	}
	for i := 1; i < 5; i++ { // at least three packets of forty bytes each way
		least := []int{0, 900, 900, 36_000, 36_000}[i]
		if after[i]-before[i] < least {
			t.Errorf("figure %d grew from %d to %d, want %d more at least", i, before[i], after[i], least)
		}
	}
}

// gone waits for the last entry of a service to go, and its server's counts
// with it, and checks that both did at its timeout.
func gone(t *testing.T, ns, virtual, server string, last time.Time, timeout time.Duration) {
	t.Helper()
	within := func(what string) {
		t.Helper()
		if lived := time.Since(last); lived < timeout-2*time.Second || lived > timeout+2*time.Second {
			t.Errorf("%s after %v, its timeout is %v", what, lived, timeout)
		}
	}
	until(t, timeout+10*time.Second, "the entry is gone", func() (string, bool) {
		rows := conns(t, ns, virtual)
		return strings.Join(rows, "\n"), len(rows) == 0
	})
	within("the entry was gone")
	// The timer that counts it out passes every slot within two seconds.
	until(t, 10*time.Second, "the counts are zero", func() (string, bool) {
		counts := busy(t, ns, server)
		return fmt.Sprint(counts), counts == [2]int{}
	})
	within("the entry was no more counted")
}

// one is the one entry of a service.
func one(t *testing.T, ns, virtual string) string {
	t.Helper()
	rows := conns(t, ns, virtual)
	if len(rows) != 1 {
		t.Fatalf("want one entry of %s, there are: %q", virtual, rows)
	}
	return rows[0]
}

func TestAUDPEntryIsGoneAtItsTimeout(t *testing.T) {
	t.Parallel()
	l := up(t, "udpend", 1)
	run(t, director(l), `
		ipvsadm --set 0 0 3
		ipvsadm -A -u 203.0.113.10:7 -s rr
		ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.2:7 -m`)
	load(t, l, "udp://"+vip+":7", 1, 1)
	last := time.Now()
	says(t, one(t, director(l), vip+":7"), "UDP", "198.51.100.2:", "192.0.2.2:7")
	if got := busy(t, director(l), "192.0.2.2:7"); got != [2]int{0, 1} {
		t.Errorf("active and inactive connections are %v, want 0 and 1", got)
	}
	gone(t, director(l), vip+":7", "192.0.2.2:7", last, 3*time.Second)
}

// httpConn is a connection to the VIP on which the server has closed its end
// or, if keep is set, has not.
func httpConn(t *testing.T, l *lab.Lab, keep bool) *net.TCPConn {
	t.Helper()
	c, err := l.Dial(lab.ClientNode(1))(t.Context(), "tcp", vip+":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) // most are closed by then
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	closing := "Connection: close\r\n"
	if keep {
		closing = ""
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: lab\r\n"+closing+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	if _, err := c.Read(answer); err != nil {
		t.Fatal(err)
	}
	if !keep {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatal(err)
		}
	}
	return c.(*net.TCPConn)
}

func oneServer(t *testing.T, name string) *lab.Lab {
	t.Helper()
	l := up(t, name, 1)
	run(t, director(l), `
		ipvsadm -A -t 203.0.113.10:80 -s rr
		ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2:80 -m`)
	return l
}

// inState waits for the one connection of a lab to come to a state, with the
// counts that belong to it.
func inState(t *testing.T, l *lab.Lab, state string, counts [2]int) {
	t.Helper()
	until(t, 2*time.Second, "the connection is in "+state, func() (string, bool) {
		row := one(t, director(l), vip+":80")
		return row, slices.Contains(strings.Fields(row), state)
	})
	if got := busy(t, director(l), "192.0.2.2:80"); got != counts {
		t.Errorf("in %s active and inactive connections are %v, want %v", state, got, counts)
	}
}

func TestAConnectionThatIsResetIsGoneTenSecondsLater(t *testing.T) {
	t.Parallel()
	l := oneServer(t, "reset")
	c := httpConn(t, l, true)
	inState(t, l, "ESTABLISHED", [2]int{1, 0})
	if err := c.SetLinger(0); err != nil { // closing sends RST
		t.Fatal(err)
	}
	c.Close()
	last := time.Now()
	inState(t, l, "CLOSE", [2]int{0, 1})
	gone(t, director(l), vip+":80", "192.0.2.2:80", last, 10*time.Second)
}

func TestAConnectionTheServerClosedIsGoneAtTheFINTimeout(t *testing.T) {
	t.Parallel()
	l := oneServer(t, "fin")
	run(t, director(l), "ipvsadm --set 0 4 0")
	httpConn(t, l, false)
	last := time.Now()
	inState(t, l, "FIN_WAIT", [2]int{0, 1})
	gone(t, director(l), vip+":80", "192.0.2.2:80", last, 4*time.Second)
}

func TestAConnectionClosedByBothEndsIsInactiveInTimeWait(t *testing.T) {
	t.Parallel()
	l := oneServer(t, "both")
	httpConn(t, l, false).Close()
	inState(t, l, "TIME_WAIT", [2]int{0, 1})
	says(t, one(t, director(l), vip+":80"), " 01:5")
}

func TestRatesRiseWithTrafficAndFallWhenItEnds(t *testing.T) {
	t.Parallel()
	l := oneServer(t, "rates")
	peak := 0
	until(t, 20*time.Second, "the rate is above 20 connections a second", func() (string, bool) {
		load(t, l, "http://"+vip+"/", 50, 4)
		peak = figures(t, director(l), "--rate --exact", vip+":80")[0]
		return "", peak > 20
	})
	for _, rate := range figures(t, director(l), "--rate --exact", vip+":80") {
		if rate == 0 {
			t.Error("a rate is 0 while there is traffic")
		}
	}
	// A quarter goes every two seconds.
	until(t, 15*time.Second, "the rate has halved", func() (string, bool) {
		f := figures(t, director(l), "--rate --exact", vip+":80")
		return run(t, director(l), "ipvsadm -Ln --rate"), f[0] <= peak/2
	})
}

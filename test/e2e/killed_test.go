package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
)

// edits is a program for ipvsadm -R that adds, edits and deletes services and
// destinations again and again. Rules that do not fit what a killed run has
// left are complained about, and it goes on.
func edits() string {
	var b strings.Builder
	for i := range 200 {
		vport := 1000 + i%4
		fmt.Fprintf(&b, "-A -t 203.0.113.10:%d -s rr\n", vport)
		for server := range 3 {
			fmt.Fprintf(&b, "-a -t 203.0.113.10:%d -r 192.0.2.%d:80 -m -w 1\n", vport, 10+server)
		}
		fmt.Fprintf(&b, "-E -t 203.0.113.10:%d -s wrr\n", vport)
		fmt.Fprintf(&b, "-e -t 203.0.113.10:%d -r 192.0.2.10:80 -m -w 3\n", vport)
		fmt.Fprintf(&b, "-d -t 203.0.113.10:%d -r 192.0.2.11:80\n", vport)
		fmt.Fprintf(&b, "-D -t 203.0.113.10:%d\n", vport)
	}
	return b.String()
}

// kill starts a command and kills it after a while, unless it has ended. It
// reports whether it was killed.
func kill(t *testing.T, ns, line, stdin string, after time.Duration) bool {
	t.Helper()
	cmd := command(t.Context(), ns, line)
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after) // the moment of its death, not a wait for something
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed, or that a rule failed
	status, ok := cmd.ProcessState.Sys().(interface{ Signaled() bool })
	return ok && status.Signaled()
}

// moments are random, and told, so that a failure can be looked into.
func moments(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// stream makes requests to a service until it is stopped, and answers what
// became of all of them.
func stream(t *testing.T, l *lab.Lab, url string) (stop func() lab.LoadResult) {
	var ended atomic.Bool
	var worker sync.WaitGroup
	all := lab.LoadResult{Answers: map[string]int{}, Failures: map[string]int{}}
	worker.Go(func() {
		for !ended.Load() {
			r, err := lab.Load(context.Background(), lab.LoadSpec{URL: url, Requests: 50, Concurrency: 2, Dial: l.Dial(lab.ClientNode(1))})
			if err != nil {
				r.Failures = map[string]int{err.Error(): 1}
			}
			for who, n := range r.Answers {
				all.Answers[who] += n
			}
			for why, n := range r.Failures {
				all.Failures[why] += n
			}
		}
	})
	stop = func() lab.LoadResult { ended.Store(true); worker.Wait(); return all }
	t.Cleanup(func() { stop() })
	return stop
}

// addable checks that a table that a killed writer left takes every edit.
func addable(t *testing.T, ns string) {
	t.Helper()
	run(t, ns, `
		ipvsadm -A -t 203.0.113.10:2000 -s wrr
		ipvsadm -a -t 203.0.113.10:2000 -r 192.0.2.20:80 -m -w 1
		ipvsadm -a -t 203.0.113.10:2000 -r 192.0.2.21:80 -m -w 2
		ipvsadm -e -t 203.0.113.10:2000 -r 192.0.2.20:80 -m -w 7`)
	says(t, run(t, ns, "ipvsadm -Ln -t 203.0.113.10:2000"), "192.0.2.20:80                Masq    7 ", "192.0.2.21:80                Masq    2 ")
	run(t, ns, "ipvsadm -D -t 203.0.113.10:2000")
}

func TestWritersKilledAtRandomMomentsStopNoTrafficAndLeaveAUsableTable(t *testing.T) {
	const kills = 100
	l := up(t, "killed", 2)
	ns := director(l)
	run(t, ns, natService)
	stop := stream(t, l, "http://"+vip+"/")
	program, random, killed := edits(), moments(t), 0
	for tries := 0; killed < kills && tries < 2*kills; tries++ {
		after := 5*time.Millisecond + time.Duration(random.Int64N(int64(60*time.Millisecond)))
		if kill(t, ns, "ipvsadm -R", program, after) {
			killed++
		}
		says(t, run(t, ns, "ipvsadm -Ln"), "TCP  203.0.113.10:80 rr", "192.0.2.2:80", "192.0.2.3:80")
		addable(t, ns)
	}
	r := stop()
	t.Logf("%d killed before they were done, %d requests meanwhile", killed, r.Answered())
	if killed < kills || r.Answered() < kills {
		t.Errorf("too few killed, or too few requests, to prove anything")
	}
	if r.Failed() > 0 {
		t.Errorf("requests failed: %v", r.Failures)
	}
	if got := stats(t, ns, vip+":80")[0]; got != r.Answered() {
		t.Errorf("%d connections were counted, %d requests answered", got, r.Answered())
	}
	clearable(t, ns)
}

// clearable checks that a table can be emptied, and counts from nothing again.
func clearable(t *testing.T, ns string) {
	t.Helper()
	run(t, ns, "ipvsadm -C")
	if listing := run(t, ns, "ipvsadm -Ln"); strings.Count(listing, "\n") != 3 {
		t.Errorf("a cleared table lists:\n%s", listing)
	}
	says(t, run(t, ns, "evs status"), "services     0\n")
	addable(t, ns)
	run(t, ns, natService)
	for _, f := range stats(t, ns, vip+":80") {
		if f != 0 {
			t.Error("a new service has counted already")
		}
	}
}

func TestTheCreationOfATableMayBeKilledAtAnyMoment(t *testing.T) {
	const kills = 30
	ns := namespace(t)
	run(t, ns, "ip link add v0 type veth peer name v1")
	begin := time.Now()
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	took := time.Since(begin)
	run(t, ns, "evs unload")
	random, unmade := moments(t), 0
	for range kills {
		kill(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr", "", time.Duration(random.Int64N(int64(took))))
		made := strings.Count(run(t, ns, "ipvsadm -Ln"), "TCP  203.0.113.10:80 rr")
		if made == 0 {
			unmade++
			run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
		}
		addable(t, ns)
		status := run(t, ns, "evs status")
		says(t, status, "services     1\n", "v0         auto  tc ", "v1         auto  tc ")
		whole := pins(t, ns)
		run(t, ns, "evs unload")
		nothingLeft(t, []pinned{whole})
	}
	t.Logf("%d of %d killed before there was a service, whose creation takes %v", unmade, kills, took)
	if unmade == 0 { // how many depends on what else the machine does
		t.Error("no creation was killed before there was a service")
	}
}

func TestAWriterThatIsStoppedIsWaitedFor(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	lock := hold(t, pinsDir(t, ns))
	writer := command(t.Context(), ns, "ipvsadm -A -t 203.0.113.10:81 -s rr")
	ended := make(chan error, 1)
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- writer.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(time.Second):
	}
	if got := strings.Count(run(t, ns, "ipvsadm -Ln"), "TCP"); got != 1 { // readers do not wait
		t.Errorf("%d services while the table is locked, want 1", got)
	}
	release(t, lock)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(run(t, ns, "ipvsadm -Ln"), "TCP"); got != 2 {
		t.Errorf("%d services after the lock was released, want 2", got)
	}
}

// hold takes the lock of a table, as another writer would, until it is released
// or the test is over.
func hold(t *testing.T, dir string) *os.File {
	t.Helper()
	lock, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return lock
}

func release(t *testing.T, lock *os.File) {
	t.Helper()
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}

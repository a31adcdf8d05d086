package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/lab"
)

// figures are the numbers of a row of a listing, that of a destination or, by
// its address, of a service, without weights and names.
func figures(t *testing.T, ns, options, address string) []int {
	t.Helper()
	listing := run(t, ns, "ipvsadm -Ln "+options)
	for line := range strings.Lines(listing) {
		before, after, found := strings.Cut(line, address+" ")
		if !found || strings.Contains(before, "Prot") {
			continue
		}
		var numbers []int
		for _, word := range strings.Fields(after) {
			if n, err := strconv.Atoi(word); err == nil {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	t.Fatalf("no row of %s in:\n%s", address, listing)
	return nil
}

// stats are connections, packets in and out, bytes in and out.
func stats(t *testing.T, ns, address string) []int {
	return figures(t, ns, "--stats --exact", address)
}

// busy are the active and the inactive connections of a destination.
func busy(t *testing.T, ns, destination string) [2]int {
	t.Helper()
	f := figures(t, ns, "", destination) // weight, active, inactive
	return [2]int{f[1], f[2]}
}

// conns are the rows of the connection table that have all the words.
func conns(t *testing.T, ns string, words ...string) (rows []string) {
	t.Helper()
row:
	for line := range strings.Lines(run(t, ns, "ipvsadm -Lnc")) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue row
			}
		}
		rows = append(rows, strings.TrimSpace(line))
	}
	return rows
}

// load makes requests from the first client, all of which must be answered.
func load(t *testing.T, l *lab.Lab, url string, requests, concurrency int) lab.LoadResult {
	t.Helper()
	r, err := lab.Load(t.Context(), lab.LoadSpec{
		URL: url, Requests: requests, Concurrency: concurrency, Dial: l.Dial(lab.ClientNode(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered() != requests {
		t.Fatalf("%s: %d of %d answered, failures: %v", url, r.Answered(), requests, r.Failures)
	}
	return r
}

// processes are the names of the processes in a namespace.
func processes(t *testing.T, ns string) (names []string) {
	t.Helper()
	home, err := os.Stat("/run/netns/" + ns)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		of, err := os.Stat("/proc/" + e.Name() + "/ns/net")
		if err != nil || !os.SameFile(home, of) {
			continue // no process, or one that ended meanwhile
		}
		name, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
		names = append(names, strings.TrimSpace(string(name)))
	}
	return names
}

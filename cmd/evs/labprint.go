package main

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
)

// printLab shows a lab as a table of its nodes.
func printLab(w io.Writer, l *lab.Lab) {
	fmt.Fprintf(w, "Lab %s: forwarding method %s, VIP %s\n", l.Name, l.Method, join(l, lab.VIP))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  NODE\tADDRESS\tNAMESPACE\tSTATE")
	row := func(node, address, state string) {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", node, address, l.Namespace(node), state)
	}
	for i := 1; i <= l.Clients; i++ {
		row(lab.ClientNode(i), join(l, func(f ipvs.Family) netip.Addr { return lab.ClientAddr(i, f) }), "")
	}
	row(lab.Router, join(l, lab.RouterAddr), "")
	row(lab.Director, join(l, lab.DirectorInside), "")
	for i := 1; i <= l.Servers; i++ {
		state := "ended"
		if pid := l.ServerPID(lab.ServerNode(i)); pid != 0 {
			state = fmt.Sprintf("serving, pid %d", pid)
		}
		row(lab.ServerNode(i), join(l, func(f ipvs.Family) netip.Addr { return lab.ServerAddr(i, f) }), state)
	}
	t.Flush()
}

// join lists the addresses of one thing in every family of the lab.
func join(l *lab.Lab, address func(ipvs.Family) netip.Addr) string {
	var all []string
	for _, f := range l.FamilyList() {
		all = append(all, address(f).String())
	}
	return strings.Join(all, ", ")
}

// printLoad shows who answered as a table of shares.
func printLoad(w io.Writer, r lab.LoadResult) {
	total := r.Answered() + r.Failed()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ANSWERED BY\tREQUESTS\tSHARE\t")
	for _, server := range slices.Sorted(maps.Keys(r.Answers)) {
		n := r.Answers[server]
		share := 100 * float64(n) / float64(total)
		fmt.Fprintf(t, "%s\t%d\t%.1f%%\t%s\n", server, n, share, strings.Repeat("#", int(share/5+0.5)))
	}
	for _, why := range slices.Sorted(maps.Keys(r.Failures)) {
		n := r.Failures[why]
		fmt.Fprintf(t, "failed: %s\t%d\t%.1f%%\t\n", why, n, 100*float64(n)/float64(total))
	}
	t.Flush()
	fmt.Fprintf(w, "%d requests in %s", total, r.Elapsed.Round(time.Millisecond))
	if r.Answered() > 0 {
		round := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
		fmt.Fprintf(w, "; time to an answer: median %s, 90%% %s, 99%% %s, longest %s", round(r.P50), round(r.P90), round(r.P99), round(r.Max))
	}
	fmt.Fprintln(w)
}

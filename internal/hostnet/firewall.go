package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Finding is a chain of the firewall that drops packets a director may need.
type Finding struct {
	// Chain names it: "nftables chain inet filter forward".
	Chain string
	// Problem says what in it drops, Effect whom that meets, Remedy what to do.
	Problem, Effect, Remedy string
}

// hooks say what a drop at each hook of netfilter means for a director. The
// data path sits before all of them but one: tc and XDP programs see a packet
// before netfilter does, and what they redirect never gets there. In match, the
// condition of a rule that would help, $ stands for the interfaces.
var hooks = map[string]struct{ effect, match string }{
	"prerouting": {
		"packets of virtual services are redirected before this hook and pass; what the data path leaves to the kernel is dropped: traffic routed plainly, for a Local destination, and answers to health checks",
		"iifname $"},
	"ingress": {
		"the data path runs before this hook, so packets of virtual services pass; what it leaves to the kernel is dropped: neighbour discovery, traffic routed plainly, for a Local destination, and answers to health checks",
		""},
	"input": {
		"packets of virtual services are redirected before this hook and pass; dropped are packets for the director itself: for a Local destination, pings of a VIP, and answers to health checks",
		"iifname $"},
	"forward": {
		"packets of virtual services are redirected before this hook and pass; dropped is what the director routes plainly: connections the real servers open themselves, and clients that go to a real server's own address",
		"iifname $ oifname $"},
	"output": {
		"packets of virtual services from other hosts pass; dropped is what the director sends itself: health checks, its own connections to a virtual service, ICMP errors",
		"oifname $"},
	"postrouting": {
		"packets of virtual services from other hosts pass; dropped is what leaves by way of the kernel: health checks, ICMP errors, traffic routed plainly",
		"oifname $"},
	"egress": {
		"this hook also meets what a tc data path redirects, so packets of virtual services are dropped here (an XDP data path goes past it)",
		""},
}

// baseChain is a chain that a hook enters, and what in it drops.
type baseChain struct {
	family, table, name, hook string
	policyDrops               bool
	// drops describes the rules that drop or reject, also those in the chains
	// it jumps to.
	drops []string
}

// finding turns a chain into advice; ok is false if it drops nothing.
func (c baseChain) finding(ifaces []string) (f Finding, ok bool) {
	hook, known := hooks[c.hook]
	if !known || !c.policyDrops && len(c.drops) == 0 {
		return Finding{}, false
	}
	var problems []string
	if c.policyDrops {
		problems = append(problems, "drops by policy what no rule accepts")
	}
	if n := len(c.drops); n > 0 {
		shown := c.drops[:min(n, 3)]
		more := ""
		if n > len(shown) {
			more = fmt.Sprintf(" and %d more", n-len(shown))
		}
		problems = append(problems, "drops or rejects what these rules match: "+strings.Join(shown, "; ")+more)
	}
	f.Chain = fmt.Sprintf("nftables chain %s %s %s", c.family, c.table, c.name)
	f.Problem = strings.Join(problems, ", and ")
	f.Effect = hook.effect
	match := ""
	if hook.match != "" {
		match = strings.ReplaceAll(hook.match, "$", nameSet(ifaces)) + " "
	}
	f.Remedy = fmt.Sprintf("nft 'insert rule %s %s %s %saccept'", c.family, c.table, c.name, match)
	return f, true
}

// legacyFinding is finding for a chain of the old iptables.
func (c baseChain) legacyFinding(command string, ifaces []string) (Finding, bool) {
	f, ok := c.finding(ifaces)
	f.Chain = fmt.Sprintf("%s chain %s (table %s)", command, c.name, c.table)
	var remedies []string
	for _, iface := range ifaces {
		flag := "-i"
		if c.hook == "output" || c.hook == "postrouting" {
			flag = "-o"
		}
		remedies = append(remedies, fmt.Sprintf("%s -t %s -I %s %s %s -j ACCEPT", command, c.table, c.name, flag, iface))
	}
	f.Remedy = strings.Join(remedies, "; ")
	return f, ok
}

func nameSet(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	return "{ " + strings.Join(quoted, ", ") + " }"
}

// CheckFirewall looks for chains that drop packets, in nftables (where the
// present iptables puts its rules too) and in the old iptables. It changes
// nothing; what it cannot read it says in notes.
func CheckFirewall(ctx context.Context, ifaces []string) (findings []Finding, notes []string) {
	// The commands look at the namespace of the thread that starts them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := listing(ctx, "nft", "-j", "list", "ruleset")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		notes = append(notes, "nft is not installed: nftables rules were not looked at (install nftables to have them checked)")
	case err != nil:
		notes = append(notes, fmt.Sprintf("nftables rules could not be read: %v", err))
	default:
		chains, err := parseNFT(out)
		if err != nil {
			notes = append(notes, fmt.Sprintf("nftables rules could not be read: %v", err))
		}
		for _, c := range chains {
			if f, ok := c.finding(ifaces); ok {
				findings = append(findings, f)
			}
		}
	}
	for _, family := range []struct{ tables, command string }{
		{"/proc/net/ip_tables_names", "iptables"}, {"/proc/net/ip6_tables_names", "ip6tables"},
	} {
		// Empty or absent unless the old iptables is in use.
		if b, _ := os.ReadFile(family.tables); len(b) == 0 {
			continue
		}
		out, err := listing(ctx, family.command+"-legacy-save")
		if errors.Is(err, exec.ErrNotFound) {
			out, err = listing(ctx, family.command+"-save")
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s rules could not be read: %v", family.command, err))
			continue
		}
		for _, c := range parseIPTables(string(out)) {
			if f, ok := c.legacyFinding(family.command, ifaces); ok {
				findings = append(findings, f)
			}
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int { return strings.Compare(a.Chain, b.Chain) })
	return findings, notes
}

func listing(ctx context.Context, name string, args ...string) ([]byte, error) {
	var complaint strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil && complaint.Len() > 0 {
		first, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", name, err, first)
	}
	return out, err
}

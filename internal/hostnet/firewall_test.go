package hostnet

import (
	"strings"
	"testing"
)

const nftListing = `{"nftables": [{"metainfo": {"version": "1.0.6"}},
{"chain": {"family": "inet", "table": "filter", "name": "forward", "handle": 1, "hook": "forward", "policy": "drop"}},
{"chain": {"family": "inet", "table": "filter", "name": "web", "handle": 2}},
{"chain": {"family": "inet", "table": "filter", "name": "unused", "handle": 3}},
{"chain": {"family": "inet", "table": "nat", "name": "post", "handle": 4, "hook": "postrouting", "policy": "accept"}},
{"chain": {"family": "netdev", "table": "edge", "name": "out", "handle": 5, "hook": "egress", "policy": "drop"}},
{"rule": {"family": "inet", "table": "filter", "chain": "forward", "handle": 4, "expr": [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["invalid", {"drop": null}], ["established", {"accept": null}]]}}}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "forward", "handle": 5, "expr": [{"jump": {"target": "web"}}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "web", "handle": 6, "expr": [{"reject": {"type": "icmpx"}}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "web", "handle": 7, "expr": [{"jump": {"target": "forward"}}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "unused", "handle": 8, "expr": [{"drop": null}]}},
{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1, "hook": "input", "policy": "accept"}},
{"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "handle": 2, "expr": [{"xt": {"type": "target", "name": "REJECT"}}]}}]}`

func TestChainsThatDropAreFoundInNftables(t *testing.T) {
	chains, err := parseNFT([]byte(nftListing))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Finding{}
	for _, c := range chains {
		if f, ok := c.finding([]string{"eth0", "eth1"}); ok {
			found[f.Chain] = f
		}
	}
	for _, tt := range []struct{ chain, problem, effect, remedy string }{
		{"nftables chain inet filter forward",
			"drops by policy what no rule accepts, and drops or rejects what these rules match: handle 4 of chain forward (drop); handle 6 of chain web (reject)",
			"what the director routes plainly",
			`nft 'insert rule inet filter forward iifname { "eth0", "eth1" } oifname { "eth0", "eth1" } accept'`},
		{"nftables chain ip filter INPUT", "drops or rejects what these rules match: handle 2 of chain INPUT (reject)",
			"answers to health checks", `nft 'insert rule ip filter INPUT iifname { "eth0", "eth1" } accept'`},
		{"nftables chain netdev edge out", "drops by policy what no rule accepts",
			"packets of virtual services are dropped here", "nft 'insert rule netdev edge out accept'"},
	} {
		f := found[tt.chain]
		if f.Problem != tt.problem || !strings.Contains(f.Effect, tt.effect) || f.Remedy != tt.remedy {
			t.Errorf("%s: got %+v", tt.chain, f)
		}
		delete(found, tt.chain)
	}
	if len(found) > 0 {
		t.Errorf("found too: %v", found)
	}
}

func TestChainsThatDropAreFoundInTheOldIptables(t *testing.T) {
	chains := parseIPTables(`*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [12:34]
:OUTPUT ACCEPT [0:0]
:WEB - [0:0]
-A INPUT -p tcp -j WEB
-A WEB -p tcp --dport 81 -j REJECT --reject-with icmp-port-unreachable
COMMIT
`)
	var got []string
	for _, c := range chains {
		if f, ok := c.legacyFinding("iptables", []string{"eth0"}); ok {
			got = append(got, f.Chain+" "+f.Problem+"; "+f.Remedy)
		}
	}
	want := []string{
		"iptables chain INPUT (table filter) drops or rejects what these rules match: -A WEB -p tcp --dport 81 -j REJECT --reject-with icmp-port-unreachable; iptables -t filter -I INPUT -i eth0 -j ACCEPT",
		"iptables chain FORWARD (table filter) drops by policy what no rule accepts; iptables -t filter -I FORWARD -i eth0 -j ACCEPT",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

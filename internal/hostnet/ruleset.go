package hostnet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

type nftChain struct {
	Family, Table, Name, Hook, Policy string
}

type nftRule struct {
	Family, Table, Chain string
	Handle               int
	Expr                 []any
}

// parseNFT reads what `nft -j list ruleset` prints into the chains that hooks
// enter.
func parseNFT(listing []byte) ([]baseChain, error) {
	var ruleset struct {
		Nftables []struct {
			Chain *nftChain
			Rule  *nftRule
		}
	}
	if err := json.Unmarshal(listing, &ruleset); err != nil {
		return nil, fmt.Errorf("the listing of nft: %w", err)
	}
	rules := map[[3]string][]nftRule{}
	for _, o := range ruleset.Nftables {
		if r := o.Rule; r != nil {
			at := [3]string{r.Family, r.Table, r.Chain}
			rules[at] = append(rules[at], *r)
		}
	}
	var chains []baseChain
	for _, o := range ruleset.Nftables {
		c := o.Chain
		if c == nil || c.Hook == "" || c.Family == "bridge" || c.Family == "arp" {
			continue
		}
		base := baseChain{family: c.Family, table: c.Table, name: c.Name, hook: c.Hook, policyDrops: c.Policy == "drop"}
		seen := map[string]bool{}
		base.drops = dropsFrom(rules, [3]string{c.Family, c.Table, c.Name}, seen)
		chains = append(chains, base)
	}
	return chains, nil
}

// dropsFrom describes the rules that drop in a chain and in those it jumps to.
func dropsFrom(rules map[[3]string][]nftRule, at [3]string, seen map[string]bool) []string {
	if seen[at[2]] {
		return nil
	}
	seen[at[2]] = true
	var drops []string
	for _, r := range rules[at] {
		drop, jumps := verdicts(r.Expr)
		if drop != "" {
			drops = append(drops, fmt.Sprintf("handle %d of chain %s (%s)", r.Handle, r.Chain, drop))
		}
		for _, target := range jumps {
			drops = append(drops, dropsFrom(rules, [3]string{at[0], at[1], target}, seen)...)
		}
	}
	return drops
}

// verdicts searches an expression, verdict maps included, for a drop or reject
// and for jumps to other chains.
func verdicts(expr any) (drop string, jumps []string) {
	merge := func(v any) {
		d, j := verdicts(v)
		if drop == "" {
			drop = d
		}
		jumps = append(jumps, j...)
	}
	switch e := expr.(type) {
	case []any:
		for _, v := range e {
			merge(v)
		}
	case map[string]any:
		for _, name := range []string{"drop", "reject"} {
			if _, ok := e[name]; ok {
				drop = name
			}
		}
		for _, name := range []string{"jump", "goto"} {
			if to, ok := e[name].(map[string]any); ok {
				if target, ok := to["target"].(string); ok {
					jumps = append(jumps, target)
				}
			}
		}
		if xt, ok := e["xt"].(map[string]any); ok {
			if name, _ := xt["name"].(string); name == "REJECT" || name == "DROP" {
				drop = strings.ToLower(name)
			}
		}
		for _, v := range e {
			merge(v)
		}
	}
	return drop, jumps
}

// parseIPTables reads what iptables-save prints into its built-in chains.
func parseIPTables(listing string) []baseChain {
	var chains []baseChain
	rules := map[string][]string{}
	table := ""
	finish := func() {
		for i := range chains {
			if chains[i].table == table {
				chains[i].drops = legacyDropsFrom(rules, chains[i].name, map[string]bool{})
			}
		}
		rules = map[string][]string{}
	}
	for line := range strings.Lines(listing) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":") && len(words) >= 2 && words[1] != "-":
			name := words[0][1:]
			chains = append(chains, baseChain{table: table, name: name, hook: strings.ToLower(name), policyDrops: words[1] == "DROP"})
		case len(words) > 1 && words[0] == "-A":
			rules[words[1]] = append(rules[words[1]], line)
		case line == "COMMIT":
			finish()
		}
	}
	return chains
}

func legacyDropsFrom(rules map[string][]string, chain string, seen map[string]bool) []string {
	if seen[chain] {
		return nil
	}
	seen[chain] = true
	var drops []string
	for _, rule := range rules[chain] {
		words := strings.Fields(rule)
		i := slices.IndexFunc(words, func(w string) bool { return w == "-j" || w == "-g" })
		if i < 0 || i+1 >= len(words) {
			continue
		}
		if target := words[i+1]; target == "DROP" || target == "REJECT" {
			drops = append(drops, rule)
		} else {
			drops = append(drops, legacyDropsFrom(rules, target, seen)...)
		}
	}
	return drops
}

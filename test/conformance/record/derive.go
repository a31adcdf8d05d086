package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.NewReplacer(`\u003e`, ">", `\u003c`, "<", `\u0026`, "&").Replace(string(b))
}

// change makes another step of one; false leaves it out.
type change func(step) (step, bool)

// derivation is a scenario made of one that is recorded, or of one above it.
type derivation struct {
	name, from string
	about      string // "" keeps it
	changes    []change
}

// methods are the ways to a server: the options that choose them.
var methods = map[string][]string{
	"nat": {"-m"}, "dr": {"-g"}, "ipip": {"-i"},
	"gre": {"-i", "--tun-type", "gre"}, "gre-csum": {"-i", "--tun-type", "gre", "--tun-csum"},
	"gue":      {"-i", "--tun-type", "gue", "--tun-port", "6080"},
	"gue-csum": {"-i", "--tun-type", "gue", "--tun-port", "6081", "--tun-csum"}, "gue-nocsum": {"-i", "--tun-type", "gue", "--tun-port", "6080", "--tun-nocsum"},
	"gue-remcsum": {"-i", "--tun-type", "gue", "--tun-port", "6080", "--tun-remcsum"},
}

// large is how packets that are too big are tunnelled.
var large = map[string][]string{
	"nat": {"-m"}, "dr": {"-g"}, "ipip": {"-i"}, "gre": {"-i", "--tun-type", "gre", "--tun-csum"},
	"gue": {"-i", "--tun-type", "gue", "--tun-port", "6080", "--tun-csum"},
}

const server4, server6 = "203.0.113.1", "[2001:db8:3::1]"

// forwarding are the scenarios of one request after the other, each method to a
// server of either family.
func forwarding() (all []derivation) {
	for _, family := range []string{"v4", "v6"} {
		servers := map[string]string{"v4": server4, "v6": server6}
		for _, m := range slices.Sorted(maps.Keys(methods)) {
			if m == "nat" || m == "dr" {
				continue
			}
			for _, f := range []string{"v4", "v6"} {
				name := m + "-" + family
				if f != family {
					name = m + "-other-" + family
				}
				about := fmt.Sprintf("IP%s request forwarding to %s (%s).", family, strings.Trim(servers[f], "[]"), strings.Join(methods[m], " "))
				all = append(all, derivation{name, "dr-" + family, about, []change{to(servers[f]+":80", m)}})
			}
		}
	}
	return all
}

// others are what forwarding does not cover.
func others() (all []derivation) {
	add := func(name, from, about string, changes ...change) {
		all = append(all, derivation{name, from, about, changes})
	}
	add("nat6-udp", "nat4-udp", "", to6)
	add("nat6-several", "nat4-several", "", to6)
	add("not-for-vip-v6", "not-for-vip", "", without("ip route"), without("unroutable"), to6)
	add("local-server-v6", "local-server-v4", "", to6)
	add("unreachable-server-v6", "unreachable-server", "", without("ip route"), to6)
	add("server-initiated-v4", "server-initiated-v6", "", to4)
	add("schedule-icmp-v6", "schedule-icmp-v4", "", to6)
	add("sctp-nat4", "sctp-nat6", "", to4)
	for _, m := range []string{"dr", "ipip", "gre-csum", "gue"} {
		about := "SCTP to a server by " + m + "."
		add("sctp-"+m+"-v6", "sctp-nat6", about, onlyFrom("client"), to(server6+":9899", m))
		add("sctp-"+m+"-v4", "sctp-nat4", about, onlyFrom("client"), to(server4+":9899", m))
	}
	add("fwmark-all-v6", "fwmark-all", "", to6)
	add("fwmark-all-nat", "fwmark-all", "", to(server4, "nat"))
	add("fwmark-all-ipip", "fwmark-all", "", to(server4, "ipip"))
	for _, m := range []string{"nat", "dr", "ipip", "gre", "gue"} {
		port4, port6, options := server4+":80", server6+":80", m
		if m == "nat" {
			port4, port6 = server4+":8080", server6+":8080"
		}
		if m == "gre" {
			options = "gre-csum"
		}
		add("ip-options-"+m, "ip-options-dr", "", to(port4, m))
		add("ext-headers-"+m, "ext-headers-dr", "", to(port6, m))
		add("frag-"+m+"-v4", "frag-nat-v4", "", unless(m == "nat", onlyFrom("client")), to(port4, options))
		add("frag-"+m+"-v6", "frag-nat-v4", "", unless(m == "nat", onlyFrom("client")), to6, to(port6, options))
		if m != "nat" && m != "dr" {
			add("frag-"+m+"-other-v4", "frag-nat-v4", "", onlyFrom("client"), to(port6, options))
			add("frag-"+m+"-other-v6", "frag-nat-v4", "", onlyFrom("client"), to6, to(port4, options))
		}
		add("toobig-"+m+"-v4", "toobig-dr-v4", "", by(port4, large[m]))
		if m != "nat" { // which is where that for IPv4 has its replies from
			add("toobig-"+m+"-v6", "toobig-dr-v6", "", by(port6, large[m]))
		}
		if m != "nat" && m != "dr" {
			add("toobig-"+m+"-other-v4", "toobig-dr-v4", "", by(port6, large[m]))
			add("toobig-"+m+"-other-v6", "toobig-dr-v6", "", by(port4, large[m]))
		}
		if m != "nat" {
			about := fmt.Sprintf("ICMP errors from the client side about a %s connection; and from inside the tunnel about the outer packet.", m)
			add("icmp-"+m+"-v4", "icmp-ipip-v4", about, unless(m != "dr", without("inside the tunnel")), unless(m != "dr", without("afterwards")), to(port4, m), inside(m))
			add("icmp-"+m+"-v6", "icmp-ipip-v6", about, unless(m != "dr", without("inside the tunnel")), unless(m != "dr", without("afterwards")), to(port6, m), inside(m))
		}
	}
	add("icmp-nat-udp-v4", "icmp-nat-tcp-v4", "ICMP errors about a NATed UDP connection from the server, a router behind it, the client and a router in front.", toUDP)
	add("icmp-nat-tcp-v6", "icmp-nat-tcp-v6-verified", "ICMP errors about a NATed TCP connection from the server, a router behind it, the client and a router in front.", verified(false))
	add("icmp-nat-udp-v6-verified", "icmp-nat-udp-v6", "With ICMPv6 checksums vouched for by the receiving device: ICMP errors about a NATed UDP connection from the server, a router behind it, the client and a router in front.", verified(true))
	return all
}

// derived are all scenarios of the table, also those that are recorded.
func derived(recorded map[string]scenario) (all []scenario) {
	known := maps.Clone(recorded)
	for _, d := range append(forwarding(), others()...) {
		from, ok := known[d.from]
		if !ok {
			panic("derived from " + d.from + ", which there is not: the table is wrong")
		}
		s := scenario{Name: d.name, About: d.about}
		if s.About == "" {
			s.About = from.About
		}
		for _, one := range from.Steps {
			if one, ok := apply(one, d.changes); ok {
				s.Steps = append(s.Steps, one)
			}
		}
		if d.name == "toobig-nat-v4" {
			s.Steps = append(s.Steps, tooBigReplies(recorded["toobig-nat-v6"])...)
		}
		if _, ok := known[d.name]; !ok {
			known[d.name] = s
		}
		all = append(all, s)
	}
	return all
}

// tooBigReplies are the last steps of a recording for IPv6, which that for IPv4
// has nothing of.
func tooBigReplies(six scenario) (all []step) {
	const last = 3
	for _, one := range six.Steps[len(six.Steps)-last:] {
		if four, ok := to4(one); ok {
			all = append(all, four)
		}
	}
	return all
}

func apply(s step, changes []change) (step, bool) {
	for _, c := range changes {
		var ok bool
		if s, ok = c(s); !ok {
			return s, false
		}
	}
	return s, true
}

// to makes servers that one by that method.
func to(server, method string) change { return by(server, methods[method]) }

func by(server string, options []string) change {
	return func(s step) (step, bool) {
		if i := slices.Index(s.Cmd, "-r"); i > 0 {
			s.Cmd = append(append(slices.Clone(s.Cmd[:i+1]), server), options...)
		}
		return s, true
	}
}

// without leaves out steps by what their note or command says.
func without(what string) change {
	return func(s step) (step, bool) {
		ip := ""
		if s.IP != nil {
			ip = "ip " + strings.Join(s.IP, " ")
		}
		return s, !strings.Contains(s.Note, what) && !strings.Contains(ip, what)
	}
}

func onlyFrom(side string) change {
	return func(s step) (step, bool) { return s, s.In == "" || s.From == side }
}

func unless(not bool, c change) change {
	if not {
		return func(s step) (step, bool) { return s, true }
	}
	return c
}

// verified sets whether the device vouches for ICMPv6 errors, but not for those
// that are wrong on purpose.
func verified(yes bool) change {
	odd := []string{"unknown", "bad", "TTL", "cut"}
	return func(s step) (step, bool) {
		fair := !slices.ContainsFunc(odd, func(o string) bool { return strings.Contains(s.Note, o) })
		s.Verified = yes && fair && strings.Contains(s.Note, ": ")
		return s, true
	}
}

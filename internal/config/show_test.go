package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// full says something of every kind.
const full = `
include: [conf.d/*.yaml]
interfaces: {eth0: xdp, eth1: tc}
settings: {drop_entry: 1, net.ipv4.vs.sync_threshold: 3 50}
timeouts: {tcp: 15m, udp: 30s}
marks: [{destination: 203.0.113.0/24, protocol: tcp, ports: [80, 8000-8080], mark: 5}]
api: {group: adm, listen: 192.0.2.1:7443, tls: {certificate: /a, key: /b, clientCA: /c}}
defaults:
  check: {interval: 1s, rise: 2, fall: 2}
  drain: {for: 10m}
services:
  - name: web
    tcp: [203.0.113.10:80, "[2001:db8::10]:80"]
    method: tunnel
    tunnel: {type: gue, port: 6080}
    persistence: {timeout: 5m}
    check: {kind: http, path: /health, status: 200}
    sorryServer: {server: 192.0.2.99, inhibit: true}
    quorumUp: {command: [/bin/true, up]}
    weightSource: {kind: agent}
    discovery: {kind: dns, name: web.example.org}
    destinations:
      - server: 192.0.2.2
      - {server: 192.0.2.3, weight: 3, check: {path: /other}, weightSource: {kind: exec, command: /bin/load}}
      - {server: 2001:db8::4, check: {kind: tcp}}
  - {name: dns, udp: 203.0.113.10:53, onePacket: true, scheduler: rr, method: masq, destinations: [{server: "192.0.2.2:5353"}]}
  - {name: marked, fwmark: [5, 6], family: ipv6, scheduler: sh, schedulerFlags: [sh-port, sh-fallback]}
`

var fullFiles = paper{"a": full, "conf.d/b.yaml": "services: {name: more, sctp: 203.0.113.10:90}\ninterfaces: {eth2: auto}\n"}

func TestWhatIsShownIsAFileThatSaysTheSame(t *testing.T) {
	d, wrong := Load("a", fullFiles)
	if wrong != nil {
		t.Fatal(wrong)
	}
	if want := []string{"a", "conf.d/b.yaml"}; !slices.Equal(d.Files, want) {
		t.Errorf("read from %v, want %v", d.Files, want)
	}
	shown, err := Show(*d)
	if err != nil {
		t.Fatal(err)
	}
	again, wrong := Load("a", paper{"a": string(shown)})
	if wrong != nil {
		t.Fatalf("%v\n%s", wrong, shown)
	}
	twice, err := Show(*again)
	if err != nil {
		t.Fatal(err)
	}
	without := func(text []byte) []string { // the reasons differ: now the file says so
		lines := strings.Split(string(text), "\n")
		for i := range lines {
			lines[i], _, _ = strings.Cut(lines[i], " #")
		}
		return lines
	}
	if !slices.Equal(without(shown), without(twice)) {
		t.Errorf("shown\n%s\nand then\n%s", shown, twice)
	}
	if !reflect.DeepEqual(d.Specs(), again.Specs()) {
		t.Errorf("wants\n%+v\nand then\n%+v", d.Specs(), again.Specs())
	}
}

func TestBetterSettingsAreSwitchedOnUnlessAFileSaysOtherwise(t *testing.T) {
	const tunnel = "services: [{tcp: 203.0.113.10:80, method: tunnel, destinations: [{server: 192.0.2.2}]}]\n"
	const kept = "services: [{tcp: 203.0.113.10:80, persistence: {timeout: 5m}, inhibitOnFailure: true, drain: {persistence: ignore}}]\n"
	for _, test := range []struct{ name, file, want string }{
		{"of any file", "services: []", "expire_udp_on_quiescent=1"},
		{"not if it says no", "settings: {net.ipv4.vs.expire_udp_on_quiescent: 0}", "expire_udp_on_quiescent=0"},
		{"the clamp with tunnels", tunnel, "expire_udp_on_quiescent=1 mss_clamp=1"},
		{"not if it says no to that", "settings: {mss_clamp: 0}\n" + tunnel, "expire_udp_on_quiescent=1 mss_clamp=0"},
		{"templates, if clients would be stuck with a server that is down", kept, "expire_quiescent_template=1 expire_udp_on_quiescent=1"},
		{"not if drains are to respect persistence", strings.Replace(kept, "ignore", "respect", 1), "expire_udp_on_quiescent=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, wrong := Load("a", paper{"a": test.file})
			if wrong != nil {
				t.Fatal(wrong)
			}
			var got []string
			for _, s := range d.Sysctls() {
				got = append(got, s.Name+"="+s.Value)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("makes %v, want %s", got, test.want)
			}
		})
	}
}

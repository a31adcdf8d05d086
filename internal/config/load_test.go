package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

// paper are files on paper.
type paper map[string]string

func (p paper) disk() fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range p {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func (p paper) ReadFile(name string) ([]byte, error)  { return p.disk().ReadFile(name) }
func (p paper) Glob(pattern string) ([]string, error) { return p.disk().Glob(pattern) }

func TestEveryMistakeOfAFileIsReportedAtItsPlaceWithTheRemedy(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []string // each a line of the report: place, and words that it has
	}{
		{"a key that there is not, with the one meant", "services:\n  - tcp: 203.0.113.10:80\n    sheduler: rr\n", []string{"a:3:5: services[0].sheduler: | did you mean scheduler?"}},
		{"another spelling of a key", "services:\n  - tcp: 203.0.113.10:80\n    sorry_server: {server: 192.0.2.9}\n", []string{"a:3:5: | did you mean sorryServer?"}},
		{"a key far from any", "service: []\nbananas: 1\n", []string{"a:1:1: | did you mean services?", "a:2:1: | there are include, interfaces"}},
		{"a value that there is not", "services:\n  - tcp: 203.0.113.10:80\n    scheduler: wlcc\n", []string{"a:3:16: services[0].scheduler: | did you mean wlc?): choose one of"}},
		{"a number that is none", "services:\n  - tcp: 203.0.113.10:80\n    quorum: many\n", []string{"a:3:13: | \"many\" is no whole number: write one of 1 at least"}},
		{"a number out of range", "services:\n  - tcp: 203.0.113.10:80\n    quorum: 0\n", []string{"a:3:13: | 0 is out of range: write a number of 1 at least"}},
		{"a mapping where a word belongs", "services:\n  - tcp: 203.0.113.10:80\n    scheduler: {name: rr}\n", []string{"a:3:16: | a mapping stands here: write a text"}},
		{"a word where a mapping belongs", "services:\n  - tcp: 203.0.113.10:80\n    drain: 5m\n", []string{"a:3:12: | a plain value stands here: write a mapping with for, atDeadline"}},
		{"a time without its unit", "services:\n  - tcp: 203.0.113.10:80\n    slowStart: 30\n", []string{"a:3:16: | 30 has no unit: write 30s"}},
		{"a key without a value", "services:\n  - tcp:\n", []string{"a:2:5: | it has no address", "a:2:10: | it has no value"}},
		{"an address without its port", "services:\n  - tcp: 203.0.113.10\n", []string{"a:2:10: | write it as 203.0.113.10:80", ""}},
		{"a service without an address", "services:\n  - name: web\n", []string{"a:2:5: services[0]: it has no address: write tcp"}},
		{"the same address twice", "services:\n  - tcp: 203.0.113.10:80\n  - tcp: [203.0.113.10:81, 203.0.113.10:80]\n", []string{"a:3:28: services[1].tcp[1]: | is another service already, at a:2:10"}},
		{"the same name twice", "services:\n  - {name: a, tcp: 203.0.113.10:80}\n  - {name: a, tcp: 203.0.113.10:81}\n", []string{"a:3:12: | another service is called"}},
		{"port 0 without persistence", "services:\n  - tcp: 203.0.113.10:0\n", []string{"a:2:10: | port 0 needs a persistent service"}},
		{"one packet at a time of TCP", "services:\n  - {tcp: 203.0.113.10:80, onePacket: true}\n", []string{"a:2:39: | only UDP"}},
		{"flags of another scheduler", "services:\n  - {tcp: 203.0.113.10:80, scheduler: mh, schedulerFlags: [sh-port]}\n", []string{"a:2:59: | scheduler mh has mh-fallback"}},
		{"a netmask of another family", "services:\n  - tcp: 203.0.113.10:80\n    persistence: {netmask: /64}\n", []string{"a:3:28: | write 255.255.255.0 or /24"}},
		{"a destination twice", "services:\n  - tcp: 203.0.113.10:80\n    destinations: [{server: 192.0.2.2}, {server: 192.0.2.2}]\n", []string{"a:3:50: services[0].destinations[1].server: | leave one of them out"}},
		{"a port that direct routing cannot change", "services:\n  - tcp: 203.0.113.10:80\n    destinations:\n      - server: 192.0.2.2:8080\n", []string{"a:4:17: | method route leaves the port as it is: leave out the port, or write method: masq"}},
		{"a server of the other family", "services:\n  - tcp: 203.0.113.10:80\n    method: masq\n    destinations:\n      - server: 2001:db8::2\n", []string{"a:5:17: | needs method: tunnel"}},
		{"an address of no server", "services:\n  - tcp: 203.0.113.10:80\n    destinations: [{server: 224.0.0.1}]\n", []string{"a:3:29: | is not the address of one server"}},
		{"gue without its port, where the service says so", "services:\n  - tcp: 203.0.113.10:80\n    method: tunnel\n    tunnel: {type: gue}\n    destinations: [{server: 192.0.2.2}]\n", []string{"a:4:13: services[0].tunnel: | a gue tunnel needs a port"}},
		{"thresholds the wrong way round", "services:\n  - tcp: 203.0.113.10:80\n    destinations: [{server: 192.0.2.2, lowerThreshold: 5, upperThreshold: 3}]\n", []string{"a:3:56: | above upperThreshold 3"}},
		{"a check that cannot be, at its field", "services:\n  - tcp: 203.0.113.10:80\n    check:\n      kind: http\n      status: abc\n    destinations: [{server: 192.0.2.2}, {server: 192.0.2.3}]\n", []string{"a:5:15: services[0].check.status:"}},
		{"a kind of check that there is not", "services:\n  - tcp: 203.0.113.10:80\n    check: {kind: htp}\n", []string{"a:3:19: services[0].check.kind: there is no kind"}},
		{"a key of another kind of check", "services:\n  - tcp: 203.0.113.10:80\n    check: {kind: tcp, helo: x}\n", []string{"a:3:30: services[0].check.helo: means nothing"}},
		{"a hook that runs nothing", "services:\n  - tcp: 203.0.113.10:80\n    quorumUp: {user: nobody}\n", []string{"a:3:15: | names no program"}},
		{"a source of weights without what it needs", "services:\n  - tcp: 203.0.113.10:80\n    weightSource: {kind: prometheus, url: 'http://192.0.2.5'}\n", []string{"a:3:19: services[0].weightSource.query: | it is missing"}},
		{"a source of weights with another's key", "services:\n  - tcp: 203.0.113.10:80\n    weightSource: {kind: agent, query: up}\n", []string{"a:3:40: | means nothing to kind agent"}},
		{"outliers of what has no connections", "services:\n  - udp: 203.0.113.10:53\n    outlier: {}\n", []string{"a:3:14: services[0].outlier: | only of TCP"}},
		{"outliers of more than all", "services:\n  - tcp: 203.0.113.10:80\n    outlier: {share: 200%, for: 1h}\n", []string{"a:3:14: services[0].outlier: it is shorter than for, 1h0m0s", "a:3:22: services[0].outlier.share: | write 100% at most"}},
		{"a discovery of no kind", "services:\n  - tcp: 203.0.113.10:80\n    discovery: [{name: web.example.org}]\n", []string{"a:3:17: | it has no kind: write kind: dns, file, http"}},
		{"a setting that there is not", "settings:\n  conn_reuse: 1\n", []string{"a:2:3: settings.conn_reuse: | `evs sysctl -v` lists"}},
		{"a setting out of range", "settings:\n  drop_entry: 9\n", []string{"a:2:3: settings.drop_entry: | want 0 to 3"}},
		{"a door that there is not", "interfaces:\n  eth0: xpd\n", []string{"a:2:9: interfaces.eth0: | did you mean xdp?"}},
		{"marks of the same packets", "marks:\n  - {destination: 203.0.113.0/24, mark: 1}\n  - {destination: 203.0.113.0/24, mark: 2}\n", []string{"a:3:5: | another rule matches the same"}},
		{"a mark for no prefix", "marks:\n  - {destination: 203.0.113.1/24, mark: 1}\n", []string{"a:2:19: | write 203.0.113.0/24"}},
		{"a listener without certificates", "api:\n  listen: 192.0.2.1:7443\n", []string{"a:2:11: | needs certificates"}},
		{"a file that is not there", "include: conf.d/web.yaml\n", []string{"a:1:10: | there is no file conf.d/web.yaml"}},
		{"what is no YAML", "services:\n  - tcp: [1\n", []string{"a:2:10: | this is no YAML"}},
		{"a second document", "services: []\n---\nservices: []\n", []string{"a:3:1: | a second document"}},
		{"an alias without anchor", "services: *web\n", []string{"a:1:11: | leads nowhere"}},
		{"all at once, in their order", "services:\n  - tcp: 203.0.113.10:80\n    quorum: x\n    hysteresis: y\nbanana: 1\n", []string{"a:3:13", "a:4:17", "a:5:1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, wrong := Load("a", paper{"a": test.file})
			if d != nil {
				t.Fatalf("read as %+v", d)
			}
			for len(wrong) < len(test.want) && test.want[len(test.want)-1] == "" {
				test.want = test.want[:len(test.want)-1] // may follow
			}
			if len(wrong) != len(test.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(wrong), len(test.want), wrong)
			}
			for i, want := range test.want {
				for _, words := range strings.Split(want, " | ") {
					if !strings.Contains(wrong[i].Error(), words) {
						t.Errorf("%v\ndoes not say %q", wrong[i], words)
					}
				}
			}
		})
	}
}

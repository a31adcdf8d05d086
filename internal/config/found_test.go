package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

const pools = `
defaults: {method: masq}
services:
  - name: web
    tcp: 203.0.113.10:80
    weight: 5
    upperThreshold: 9
    sorryServer: {server: 192.0.2.99}
    check: {kind: tcp}
    destinations: [{server: 192.0.2.2:80}]
  - {name: direct, tcp: 203.0.113.10:81, method: route}
  - {name: tunnel, tcp: 203.0.113.10:82, method: tunnel}
`

func servicesOf(t *testing.T, text string) map[string]Service {
	t.Helper()
	d, wrong := Load("f", paper{"f": text})
	if wrong != nil {
		t.Fatal(wrong)
	}
	all := map[string]Service{}
	for _, s := range d.Services {
		all[s.Name] = s
	}
	return all
}

func TestWhatIsFoundIsWhatTheFileWouldSay(t *testing.T) {
	services := servicesOf(t, pools)
	for _, c := range []struct {
		name, service, text string
		port                uint16
		want, wrong         string
	}{
		{"a list, in its own order", "web", "- server: 192.0.2.9:8080\n- {server: 192.0.2.3, weight: 2}\n", 0, "192.0.2.3*2 192.0.2.9:8080*5", ""},
		{"JSON", "web", `[{"server": "192.0.2.3", "upperThreshold": 3}]`, 0, "192.0.2.3*5", ""},
		{"a port for those without one", "web", "[{server: 192.0.2.3}, {server: \"192.0.2.4:81\"}]", 8080, "192.0.2.3:8080*5 192.0.2.4:81*5", ""},
		{"those that the file has are left out", "web", "[{server: 192.0.2.2}, {server: 192.0.2.3}, {server: \"192.0.2.99:80\"}]", 0, "192.0.2.3*5", ""},
		{"none", "web", "[]", 0, "", "the answer has no server"},
		{"nothing", "web", "", 0, "", "the answer has no server"},
		{"too many", "web", "[{server: 192.0.2.3}, {server: 192.0.2.4}, {server: 192.0.2.5}, {server: 192.0.2.6}]", 0, "", "4 servers, more than the limit of 3"},
		{"twice the same", "web", "[{server: 192.0.2.3}, {server: 192.0.2.3}]", 0, "", "x:1:32: [1].server: 192.0.2.3 is a destination of this service already"},
		{"no address", "web", "[{weight: 3}]", 0, "", "it has no address"},
		{"no such key", "web", "[{server: 192.0.2.3, wait: 3}]", 0, "", "x:1:22: [0].wait: there is no such key"},
		{"a port that direct routing cannot give", "direct", "[{server: 192.0.2.3}]", 8080, "", "leaves the port as it is"},
		{"another family", "web", "[{server: \"2001:db8::2\"}]", 0, "", "another family"},
		{"another family through a tunnel", "tunnel", "[{server: \"2001:db8::2\"}]", 0, "2001:db8::2*1", ""},
		{"no document", "web", "{", 0, "", "x:1:"},
	} {
		found, err := services[c.service].Found(Discovery{Limit: 3, Port: c.port}, "x", []byte(c.text))
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: error %v, want one that says %q", c.name, err, c.wrong)
			}
			continue
		}
		var words []string
		for _, d := range found {
			words = append(words, fmt.Sprintf("%s*%d", d.Address, d.Weight))
			if c.service == "web" && (len(d.Check) != 1 || d.Check[0].Kind != "tcp" || d.UpperThreshold == 0) {
				t.Errorf("%s: %+v has not what the service says of its servers", c.name, d)
			}
		}
		if got := strings.Join(words, " "); err != nil || got != c.want {
			t.Errorf("%s: found %s, error %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestAServiceTakesTheFamiliesThatItsMethodReaches(t *testing.T) {
	services := servicesOf(t, pools)
	for name, want := range map[string]bool{"web": false, "direct": false, "tunnel": true} {
		if !services[name].Takes(ipvs.IPv4) || services[name].Takes(ipvs.IPv6) != want {
			t.Errorf("%s takes IPv6: %v, want %v", name, !want, want)
		}
	}
}

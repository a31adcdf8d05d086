package peers

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAProxyIsToldWhoAsksWhoAnswersAndWithHowManyThreads(t *testing.T) {
	s := Service{VIP: netip.MustParseAddrPort("203.0.113.10:80"), Server: netip.MustParseAddrPort("192.0.2.2:8080")}
	for _, config := range []string{haproxyConfig(s, 7), nginxConfig(s, 7)} {
		for _, want := range []string{"203.0.113.10:80", "192.0.2.2:8080", " 7"} {
			if !strings.Contains(config, want) {
				t.Errorf("no %q in\n%s", want, config)
			}
		}
	}
}

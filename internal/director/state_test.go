package director

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/config"
)

func TestWeightsThatAreToMoveAreMultipliedAsTheDirectorDoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "evs.yaml")
	err := os.WriteFile(file, []byte(`services:
- tcp: [203.0.113.10:80, 203.0.113.11:80]
  method: masq
  slowStart: 10s
  sorryServer: {server: 192.0.2.9, inhibit: true}
  destinations: [{server: 192.0.2.2}, {server: 192.0.2.3, weight: 3}]
- tcp: 203.0.113.12:80
  method: masq
  destinations: [{server: 192.0.2.2, weight: 2}]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	d, wrong := config.Load(file, config.Disk{})
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	var got []string
	for _, s := range WantedBy(*d).Services {
		line := s.Addr.Addr().String()
		for _, is := range s.Destinations {
			line += fmt.Sprintf(" %s=%d", is.Addr.Addr(), is.Weight)
		}
		got = append(got, line)
	}
	want := "203.0.113.10 192.0.2.2=100 192.0.2.3=300 192.0.2.9=0\n203.0.113.11 192.0.2.2=100 192.0.2.3=300 192.0.2.9=0\n203.0.113.12 192.0.2.2=2"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

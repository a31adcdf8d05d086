package health

import (
	"os"
	"strings"
	"testing"
)

func TestThePageOfChecksNamesEachKindAndField(t *testing.T) {
	page, err := os.ReadFile("../../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds {
		for _, name := range append(k.FieldNames(), k.Name) {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/checks.md has nothing on %s, of %s", name, k.Name)
			}
		}
	}
	for _, name := range []string{"serverName", "verify", "ca", "cert", "key", "minVersion"} {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/checks.md has nothing on tls.%s", name)
		}
	}
}

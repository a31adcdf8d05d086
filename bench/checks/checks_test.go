package checks

import (
	"net/netip"
	"testing"
)

func TestTheTargetsAreAsManyAsTheTableHasAndAllOfTheDocumentation(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	for _, at := range targets() {
		inside := false
		for _, prefix := range network {
			inside = inside || netip.MustParsePrefix(prefix).Contains(at.Addr())
		}
		if !inside || seen[at] {
			t.Fatalf("%v is not of the documentation, or there twice", at)
		}
		seen[at] = true
	}
	if len(seen) != services*destinations {
		t.Errorf("%d targets", len(seen))
	}
}

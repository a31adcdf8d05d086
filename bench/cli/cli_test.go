package cli

import (
	"strings"
	"testing"
)

func TestEveryServiceHasItsLinesAndAnAddressOfItsOwn(t *testing.T) {
	for _, services := range []int{1, 200, 201, 10_000} {
		seen := map[string]bool{}
		lines := 0
		for line := range strings.Lines(string(Rules(services))) {
			lines++
			if seen[line] {
				t.Fatalf("%d services: %q twice", services, line)
			}
			seen[line] = true
		}
		if want := services * (1 + Servers); lines != want {
			t.Errorf("%d services have %d lines, want %d", services, lines, want)
		}
	}
}

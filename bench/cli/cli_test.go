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

func TestABarThatIsMissedIsSaid(t *testing.T) {
	text := Text("COMMANDS", []Row{{"quick", 1, "ms", 2}, {"slow", 3, "ms", 2}, {"free", 9, "ms", 0}})
	for _, want := range []string{"pass", "FAIL"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("want %q once in\n%s", want, text)
		}
	}
}

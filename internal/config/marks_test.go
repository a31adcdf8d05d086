package config

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryBadLineOfAFileOfMarksIsReported(t *testing.T) {
	const file = `# of the web
--destination 203.0.113.0/24 --protocol tcp --dport 80,443 --set-mark 7

-d 203.0.113.10 --set-mark
-d 203.0.113.0/24 -p tcp --dport 80,443 --set-mark 8
-d 2001:db8::/32 -s 192.0.2.0/24 --set-mark 9
  -d ::/0 --set-mark 10
`
	rules, wrong := ReadMarks(strings.NewReader(file))
	var lines []int
	for _, e := range wrong {
		lines = append(lines, e.Line)
	}
	if !slices.Equal(lines, []int{4, 5, 6}) || !strings.Contains(wrong[1].Error(), "see line 2") {
		t.Errorf("wrong are %v", wrong)
	}
	if len(rules) != 2 || rules[0].Mark != 7 || rules[1].Mark != 10 {
		t.Errorf("read %+v", rules)
	}
}

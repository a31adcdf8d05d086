package verbs

import (
	"strings"
	"testing"
)

func TestRulesOfMarksAreAddedSavedAndRestored(t *testing.T) {
	m := newMachine(t)
	m.must(t, "mark add -d 203.0.113.0/24 -p tcp --dport 80,443,8000:8080 --set-mark 7")
	m.must(t, "mark add -d 203.0.113.10 -s 198.51.100.0/25 --set-mark 0x8")
	m.must(t, "mark add -d 2001:db8::/64 -p 50 --set-mark 9")
	const saved = `--destination 203.0.113.10 --source 198.51.100.0/25 --set-mark 8
--destination 203.0.113.0/24 --protocol tcp --dport 80,443,8000-8080 --set-mark 7
--destination 2001:db8::/64 --protocol 50 --set-mark 9
`
	if got := m.must(t, "mark save"); got != saved {
		t.Errorf("saved are\n%swant\n%s", got, saved)
	}
	for packet, mark := range map[string]string{
		"-s 198.51.100.7 -d 203.0.113.10 -p tcp --dport 443": "8",
		"-s 192.0.2.7 -d 203.0.113.10 -p tcp --dport 8005":   "7",
		"-s 192.0.2.7 -d 203.0.113.10 -p udp --dport 8005":   "0",
		"-s 2001:db8::1 -d 2001:db8::2 -p 50":                "9",
	} {
		if got := m.must(t, "mark which "+packet); got != mark+"\n" {
			t.Errorf("%s: mark %swant %s", packet, got, mark)
		}
	}
	m.must(t, "mark delete -d 203.0.113.10 -s 198.51.100.0/25")
	m.must(t, "mark flush")
	if got := m.must(t, "mark save"); got != "" {
		t.Errorf("after flush there are\n%s", got)
	}
	if r := m.run(saved, "mark", "restore"); r.code != 0 {
		t.Fatal(r.said)
	}
	r := m.run("--destination 203.0.113.11 --set-mark 1\nnonsense\n", "mark", "restore")
	if r.code == 0 || !strings.Contains(r.said, "line 2") {
		t.Errorf("a bad line: exit code %d, said %q", r.code, r.said)
	}
	if got := m.must(t, "mark save"); got != saved {
		t.Errorf("the rules are\n%swant\n%s", got, saved)
	}
}

package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsAreShownAndChangedAsBySysctl(t *testing.T) {
	m := newMachine(t)
	for _, step := range []struct{ line, prints string }{
		{"sysctl net.ipv4.vs.conn_reuse_mode", "net.ipv4.vs.conn_reuse_mode = 1\n"},
		{"sysctl -w net.ipv4.vs.expire_nodest_conn=1 sloppy_tcp=0x1", "net.ipv4.vs.expire_nodest_conn = 1\nnet.ipv4.vs.sloppy_tcp = 1\n"},
		{"sysctl -n expire_nodest_conn sync_threshold", "1\n3\t50\n"},
	} {
		if got := m.must(t, step.line); got != step.prints {
			t.Errorf("evs %s prints\n%swant\n%s", step.line, got, step.prints)
		}
	}
	all := m.must(t, "sysctl")
	if got := m.must(t, "sysctl -v"); strings.Count(got, "\n") != strings.Count(all, "\n")+1 {
		t.Errorf("-v has other settings than\n%s", all)
	}
}

func TestSettingsThatWereKeptInAFileComeBack(t *testing.T) {
	m := newMachine(t)
	m.must(t, "sysctl -w sloppy_tcp=1 sync_threshold=7")
	kept := m.must(t, "sysctl")
	file := filepath.Join(t.TempDir(), "settings")
	fromElsewhere := "# of a kernel\nnet.ipv4.ip_forward = 1\nnet.ipv4.vs.conntrack = 1\n" + kept
	if err := os.WriteFile(file, []byte(fromElsewhere), 0o600); err != nil {
		t.Fatal(err)
	}
	m.must(t, "unload")
	if m.must(t, "sysctl") == kept {
		t.Fatal("a new table has the old settings")
	}
	r := m.run("", "sysctl", "-p", file)
	if r.code != 0 || !strings.Contains(r.said, "net.ipv4.vs.conntrack = 1 is passed over") {
		t.Errorf("exit code %d, said %q", r.code, r.said)
	}
	if got := m.must(t, "sysctl"); got != kept {
		t.Errorf("the settings are\n%swant\n%s", got, kept)
	}
	r = m.run("net.ipv4.vs.sloppy_tcp = 0\nnet.ipv4.vs.drop_entry = 9\n", "sysctl", "-p", "-")
	if r.code == 0 || m.must(t, "sysctl") != kept {
		t.Errorf("a file with a bad line: exit code %d, and the settings are\n%s", r.code, m.must(t, "sysctl"))
	}
}

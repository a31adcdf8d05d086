package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

func TestAFileOfSettingsIsReadAsSysctlReadsIt(t *testing.T) {
	const file = `# one
; two
net.ipv4.ip_forward = 1
net.ipv4.vs.sync_threshold = 3	50
-net/ipv4/vs/sloppy_tcp=1
`
	want := []ipvs.SysctlValue{{Name: "net.ipv4.vs.sync_threshold", Value: "3\t50"}, {Name: "net.ipv4.vs.sloppy_tcp", Value: "1"}}
	got, wrong := ReadSysctls(strings.NewReader(file))
	if !slices.Equal(got, want) || len(wrong) != 0 {
		t.Errorf("read %q, wrong are %v", got, wrong)
	}
	if _, wrong := ReadSysctls(strings.NewReader("a = 1\nb\n\nc\n")); len(wrong) != 2 || wrong[0].Line != 2 || wrong[1].Line != 4 {
		t.Errorf("wrong are %v", wrong)
	}
}

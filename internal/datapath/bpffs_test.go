package datapath

import (
	"strings"
	"testing"
)

func TestADirectoryThatIsNoBPFFileSystemIsRefusedWithTheRemedy(t *testing.T) {
	_, err := named(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "mount -t bpf") || !strings.Contains(err.Error(), BpffsVariable) {
		t.Errorf("got %v, want an error that names the variable and how to mount", err)
	}
}

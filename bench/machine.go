package main

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/report"
)

// machine describes where this runs, as far as the kernel tells.
func machine() report.Machine {
	m := report.Machine{Processor: "an unnamed processor", Cores: runtime.NumCPU(), Kernel: "unknown", Arch: runtime.GOARCH}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := processor(string(info)); name != "" {
			m.Processor = name
		}
	}
	return m
}

func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return ""
}

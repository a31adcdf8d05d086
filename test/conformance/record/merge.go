package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evs-project/evs/test/bed"
)

// merge writes what several runs have in common, and where they differ.
func merge(dir string, runs []string) error {
	if len(runs) < 2 {
		return fmt.Errorf("%d runs: give two at least", len(runs))
	}
	all := make([]map[string]scenario, len(runs))
	for i, run := range runs {
		var err error
		if all[i], err = load(run); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all[0])) {
		one := all[0][name]
		for _, other := range all[1:] {
			if err := one.meet(other[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := write(filepath.Join(dir, name+".json"), one); err != nil {
			return err
		}
	}
	return nil
}

// meet marks where another run of the scenario differs.
func (s scenario) meet(other scenario) error {
	for i := range s.Steps {
		a, b := &s.Steps[i], &other.Steps[i]
		if a.Stdout != b.Stdout || a.Stderr != b.Stderr || a.Exit != b.Exit || len(a.Out) != len(b.Out) {
			return fmt.Errorf("step %d came out otherwise in another run:\n%+v\n%+v", i, *a, *b)
		}
		for j := range a.Out {
			if err := a.Out[j].meet(b.Out[j]); err != nil {
				return fmt.Errorf("step %d: %w", i, err)
			}
		}
	}
	return nil
}

func (o *out) meet(other out) error {
	if o.Side != other.Side || len(o.Frame) != len(other.Frame) {
		return fmt.Errorf("frames of different runs: %s %s, %s %s", o.Side, o.Frame, other.Side, other.Frame)
	}
	const word = 4 // digits
	for at := 0; at < len(o.Frame); at += word {
		end := min(at+word, len(o.Frame))
		if o.Frame[at:end] != other.Frame[at:end] && !slices.Contains(o.Vary, at/2) {
			o.Vary = append(o.Vary, at/2)
		}
	}
	// A flow label is a word and a quarter, an identification of IPv6 two words:
	// that one of them agrees is chance.
	for _, pair := range [][2]int{{14, 16}, {58, 60}} {
		if o.Frame[24:28] == "86dd" && slices.Contains(o.Vary, pair[1]) && !slices.Contains(o.Vary, pair[0]) {
			o.Vary = append(o.Vary, pair[0])
		}
	}
	slices.Sort(o.Vary)
	return nil
}

// write writes a recording, a line to a step or frame.
func write(file string, s scenario) error {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n \"family\": \"packet\",\n \"name\": %s,\n \"about\": %s,\n", quote(s.Name), quote(s.About))
	fmt.Fprintf(&b, " \"recorded_from\": \"Linux 6.1 kernel IPVS, ipvsadm 1.31\",\n \"steps\": [\n")
	for i, one := range s.Steps {
		fmt.Fprintf(&b, "  {%s}%s\n", one.text(), comma(i, len(s.Steps)))
	}
	b.WriteString(" ]\n}\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func comma(i, n int) string {
	if i+1 < n {
		return ","
	}
	return ""
}

// fields are written in turn, those that are empty left out.
type fields []struct {
	name  string
	value any
	empty bool
}

func (f fields) String() string {
	var all []string
	for _, one := range f {
		if !one.empty {
			all = append(all, fmt.Sprintf("%q: %s", one.name, quote(one.value)))
		}
	}
	return strings.Join(all, ", ")
}

func (s step) text() string {
	if s.In == "" {
		return fields{
			{"cmd", s.Cmd, s.Cmd == nil}, {"exit", s.Exit, s.Cmd == nil},
			{"stdout", s.Stdout, s.Stdout == ""}, {"stderr", s.Stderr, s.Stderr == ""}, {"masked", s.Masked, s.Masked == ""},
			{"sysctl", s.Sysctl, s.Sysctl == nil}, {"mark", s.Mark, s.Mark == nil}, {"ip", s.IP, s.IP == nil},
		}.String()
	}
	head := fields{
		{"from", s.From, false}, {"in", s.In, false}, {"note", s.Note, false},
		{"verified", true, !s.Verified}, {"text", inWords(s.In), false},
	}.String()
	if len(s.Out) == 0 {
		return head + `, "out": []`
	}
	var b strings.Builder
	b.WriteString(head + ", \"out\": [\n")
	for i, o := range s.Out {
		line := fields{{"side", o.Side, false}, {"frame", o.Frame, false}, {"text", inWords(o.Frame), false}, {"vary", o.Vary, o.Vary == nil}}
		fmt.Fprintf(&b, "    {%s}%s\n", line, comma(i, len(s.Out)))
	}
	return b.String() + "  ]"
}

// inWords is an aid to the reader.
func inWords(frame string) string {
	b, err := hex.DecodeString(frame)
	if err != nil {
		return frame
	}
	if at, proto, more, cut := piece(b); cut {
		return fmt.Sprintf("proto %d frag off=%d%s", proto, at, more)
	}
	seen, err := bed.Parse(b)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return seen.String()
}

// piece tells a fragment other than the first.
func piece(frame []byte) (at uint16, proto byte, more string, cut bool) {
	ip := frame[ethLen:]
	word, flag := uint16(0), uint16(0)
	if ip[0]>>4 == 4 {
		word, flag, proto = be(ip[6:])<<3, be(ip[6:])&0x2000, ip[9]
	} else if ip[6] == fragment {
		word, flag, proto = be(ip[42:])&^7, be(ip[42:])&1, ip[40]
	}
	if flag != 0 {
		more = "+"
	}
	return word, proto, more, word != 0
}

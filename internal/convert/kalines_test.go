package convert

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLinesAreReplacedAsTheManualHasThem(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"comments", "a # b\nc!d\ne \"# f\" '! g' # h\n", []string{"a", "c", `e "# f" '! g'`}},
		{"an apostrophe alone quotes nothing", "don't # b\n", []string{"don't"}},
		{"conditions", "@main a\n@other b\n@^main c\n@^other d\n", []string{"a", "d"}},
		{"a condition in a parameter", "$IF=@other\n$IF a\n$IF=@main\n$IF b\n", []string{"b"}},
		{"a parameter that is replaced when it is used", "$B=10.2.${S}\n$S=0\n${B}.100/32\n$S=10\n${B}.100/32\n", []string{"10.2.0.100/32", "10.2.10.100/32"}},
		{"without braces only a blank ends it", "$A=x\n$A $A.b ${A}.b\n$A\n", []string{"x $A.b x.b", "x"}},
		{"one that is not defined", "a ${NONE} $NONE\n", []string{"a ${NONE} $NONE"}},
		{"an empty one", "$A=\na $A b\n", []string{"a  b"}},
		{"several lines, one in the other", "$IN= \\\n b${N} \\\n c\n$OUT= \\\n a \\\n\n $IN \\\n d\n$N=1\n$OUT\n$N=2\n$OUT\n",
			[]string{"a", "b1", "c", "d", "a", "b2", "c", "d"}},
		{"definitions within definitions", "$A= \\\n $X=1 \\\n x${X} \\\n $X=2 \\\n x${X}\n$A\n", []string{"x1", "x2"}},
		{"a sequence", "~SEQ(S, 0, 3) 10.0.${S}.1\n", []string{"10.0.0.1", "10.0.1.1", "10.0.2.1", "10.0.3.1"}},
		{"a sequence with a step", "~SEQ(S, 1, 2, 6) ${S}\n", []string{"1", "3", "5"}},
		{"one that goes down", "~SEQ(S, 3, 1) ${S}\n", []string{"3", "2", "1"}},
		{"one with an end alone", "~SEQ(S, 2) ${S}\n~SEQ(S, -2) ${S}\n", []string{"1", "2", "-1", "-2"}},
		{"in hexadecimal digits", "~SEQx(S, 0x90, 0x10, 0xb0) fe80::${S}:1\n", []string{"fe80::90:1", "fe80::a0:1", "fe80::b0:1"}},
		{"one in the other", "~SEQ(A,1,2) ~SEQ(B,5,6) ${A}${B}\n", []string{"15", "16", "25", "26"}},
		{"a list", "~LST(IP, 1, 2) ~LST(IP1, 5,6) ${IP}.${IP1}\n", []string{"1.5", "1.6", "2.5", "2.6"}},
		{"a list of groups", "~LST({IP, IP1}, {10,1},{20,4}) ~SEQ(X,168,2,170) ${X}.${IP}.${IP1}\n", []string{"168.10.1", "170.10.1", "168.20.4", "170.20.4"}},
		{"a sequence of a parameter of several lines", "$A= \\\n a${N} \\\n b\n~SEQ(N,1,2) $A\n", []string{"a1", "b", "a2", "b"}},
		{"what is predefined", "${_PWD}/x ${_INSTANCE} ${_HASH}${_BANG}\n", []string{"dir/x main #!"}},
		{"includes", "include part\nincludea {sub/*,other}\nx\n", []string{"in dir/part", "in sub", "deeper", "in other", "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fstest.MapFS{
				"dir/part":  {Data: []byte("in ${_PWD}/part")},
				"dir/sub/a": {Data: []byte("in sub\ninclude ../deep\n")},
				"dir/deep":  {Data: []byte("deeper")},
				"dir/other": {Data: []byte("in other")},
			}
			lines, notes := readKeepalived("dir/conf", test.text, Options{Files: f, ConfigID: "main"})
			if len(notes) > 0 {
				t.Errorf("notes %v", notes)
			}
			var got []string
			for _, l := range lines {
				got = append(got, l.text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatGrowsWithoutBoundsIsCutAndTold(t *testing.T) {
	for _, text := range []string{
		"$A=$A x\n$A\n", "$A= \\\n $A \\\n $A\n$A\n", "include conf\n", "~SEQ(A,1,9999999) x\n",
		"~SEQ(A,1,1000) ~SEQ(B,1,1000) ~SEQ(C,1,1000) x\n", "include nowhere\n", "~LST(A) x\n", "~SEQ(A,b) x\n", "~LST({A,B},{1}) x\n",
	} {
		lines, notes := readKeepalived("conf", text, Options{Files: fstest.MapFS{"conf": {Data: []byte(text)}}, ConfigID: "main"})
		if len(notes) == 0 || len(lines) > maxLines {
			t.Errorf("%q: %d lines, notes %v", text, len(lines), notes)
		}
	}
}

func TestWordsKeepWhatIsQuotedTogether(t *testing.T) {
	for line, want := range map[string]string{
		`abcd" efg h jkl "mnop`:   "abcd efg h jkl mnop",
		`abcd "efg h jkl" mnop`:   "abcd|efg h jkl|mnop",
		`a\ b \"c\" \x41\101\n`:   "a b|\"c\"|AA\n",
		`TCP_CHECK{`:              "TCP_CHECK|{",
		`path /x }`:               "path|/x|}",
		`weight 5}`:               "weight|5|}",
		`"{" x`:                   " {|x",
		`a ${B} {`:                "a|${B}|{",
		`x ""`:                    "x|",
		"\tlvs_sched  rr \r":      "lvs_sched|rr",
		`misc "/bin/x 'a b' c" u`: "misc|/bin/x 'a b' c|u",
	} {
		if got := strings.Join(kaWords(line), "|"); got != want {
			t.Errorf("%s becomes %q, want %q", line, got, want)
		}
	}
}

func TestBracesThatDoNotMatchAreTold(t *testing.T) {
	for text, reason := range map[string]string{
		"virtual_server 203.0.113.10 80 {\n":                                    "never closed",
		"}\nvirtual_server 203.0.113.10 80 {\nreal_server 192.0.2.2 80 {\n}\n}": "closes no block",
	} {
		result := converted(t, "keepalived", text)
		if !slices.ContainsFunc(result.Notes, func(n Note) bool { return strings.Contains(n.Reason, reason) }) {
			t.Errorf("%q: notes %v, want %q", text, result.Notes, reason)
		}
	}
}

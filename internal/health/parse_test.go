package health

import "testing"

func TestSpansHoldBothTheirEnds(t *testing.T) {
	s, err := parseSpans("200-299 404,500-500", 100, 999)
	if err != nil {
		t.Fatal(err)
	}
	for n, in := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: true, 500: true, 501: false} {
		if s.has(n) != in {
			t.Errorf("%d: %v", n, !in)
		}
	}
}

func TestAPatternMatchesTheBeginningAndMindsNoWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern string
		data    []byte
		begins  bool
	}{
		{"0a 1b", []byte{0x0a, 0x1b}, true},
		{"0A1B", []byte{0x0a, 0x1b, 7}, true},
		{"0a 1b", []byte{0x0a}, false},
		{"0a 1b", []byte{0x0a, 0x1c}, false},
		{"0a xb", []byte{0x0a, 0xfb}, true},
		{"0a xb", []byte{0x0a, 0xfc}, false},
		{"xx xx", []byte{1, 2}, true},
		{"xx xx", []byte{1}, false},
		{"", nil, true},
	} {
		p, err := parsePattern(c.pattern, true)
		if err != nil {
			t.Fatal(err)
		}
		if p.begins(c.data) != c.begins {
			t.Errorf("%q of % x: %v", c.pattern, c.data, !c.begins)
		}
	}
}

func TestWhatIsExpectedOfAnAnswerImpliesOne(t *testing.T) {
	for _, c := range []struct {
		talk            Talk
		expects, silent bool
	}{
		{Talk{}, false, true},
		{Talk{Send: "x"}, false, false},
		{Talk{SendHex: "00"}, false, false},
		{Talk{Reply: true}, true, false},
		{Talk{Expect: "x"}, true, false},
		{Talk{ExpectHex: "00"}, true, false},
		{Talk{MinReply: 1}, true, false},
		{Talk{MaxReply: 1}, true, false},
	} {
		if c.talk.expects() != c.expects || c.talk.silent() != c.silent {
			t.Errorf("%+v: expects %v, silent %v", c.talk, c.talk.expects(), c.talk.silent())
		}
	}
}

package weight

import (
	"reflect"
	"strings"
	"testing"
)

func number(n int) *int { return &n }

func TestAnAgentsReplyIsUnderstood(t *testing.T) {
	for _, c := range []struct {
		text string
		want Reply
	}{
		{"75%\n", Reply{Percent: number(75)}},
		{"0%", Reply{Percent: number(0)}},
		{"250%\r\n", Reply{Percent: number(250)}},
		{"drain\n", Reply{Admin: "drain"}},
		{"maint\n", Reply{Admin: "maint"}},
		{"MAINT # new disk \n", Reply{Admin: "maint", About: "new disk"}},
		{"down #reason\n", Reply{Health: "down", About: "reason"}},
		{"down#reason\n", Reply{Health: "down", About: "reason"}},
		{"fail # a # b\n", Reply{Health: "fail", About: "a # b"}},
		{"stopped\n", Reply{Health: "stopped"}},
		{"up ready 50%\n", Reply{Health: "up", Admin: "ready", Percent: number(50)}},
		{"up,\tready,,50%,maxconn:30\n", Reply{Health: "up", Admin: "ready", Percent: number(50), MaxConn: number(30)}},
		{"maxconn:30\n", Reply{MaxConn: number(30)}},
		{"10% 20%\n", Reply{Percent: number(20)}},
		{"up later 5%\n", Reply{Health: "up", Percent: number(5), Unknown: "later"}},
		{"up\nbut this is not read", Reply{Health: "up"}},
		{"down # a\x1b[31mb\xff\n", Reply{Health: "down", About: "a?[31mb?"}},
	} {
		if got, err := ParseReply(c.text); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
}

func TestAnAgentsReplyThatIsNoneIsRefused(t *testing.T) {
	for text, reason := range map[string]string{
		"":                         "empty",
		"\nup":                     "empty",
		"# up":                     "empty",
		"hello":                    `"hello"`,
		"HTTP/1.1 200 OK":          `"HTTP/1.1"`,
		"%":                        "whole number",
		"7.5%":                     "whole number",
		"-5%":                      "whole number",
		"99999999999%":             "whole number",
		"maxconn:":                 "whole number",
		"up maxconn:x":             `"maxconn:x"`,
		strings.Repeat("up ", 500): "longer",
	} {
		if got, err := ParseReply(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.20q: %+v, %v; want an error with %s", text, got, err, reason)
		}
	}
}

func TestWhatAnAgentLeavesOutStays(t *testing.T) {
	var r Reading
	for i, c := range []struct {
		text string
		want Reading
	}{
		{"50%", Reading{Value: 50, Unit: UnitPercent}},
		{"drain # lunch", Reading{Value: 50, Unit: UnitPercent, Drain: true, About: "lunch"}},
		{"60%", Reading{Value: 60, Unit: UnitPercent, Drain: true, About: "lunch"}},
		{"down", Reading{Value: 60, Unit: UnitPercent, Drain: true, Down: true}},
		{"ready", Reading{Value: 60, Unit: UnitPercent, Down: true}},
		{"up", Reading{Value: 60, Unit: UnitPercent}},
	} {
		reply, err := ParseReply(c.text)
		if err != nil {
			t.Fatal(err)
		}
		r = reply.Reading(r, at(float64(i)))
		c.want.At = at(float64(i))
		if r != c.want {
			t.Errorf("after %q: %+v, want %+v", c.text, r, c.want)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	for _, text := range []string{"75%\n", "up ready 50% maxconn:30 # so\r\n", "down#x", ",,\t", "%", "maxconn:", "#\x80"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseReply(text)
		if err != nil {
			if !reflect.DeepEqual(r, Reply{}) {
				t.Errorf("an error and %+v", r)
			}
			return
		}
		if r.Percent == nil && r.MaxConn == nil && r.Admin == "" && r.Health == "" {
			t.Error("a reply that says nothing is none")
		}
		for _, s := range []string{r.About, r.Unknown, r.Admin, r.Health} {
			for _, c := range s {
				if c < ' ' || c == 0x7f {
					t.Errorf("%q is not fit for a log", s)
				}
			}
		}
		again, err := ParseReply(text + "\nmaint")
		if err != nil || !reflect.DeepEqual(again, r) && !strings.HasSuffix(text, "\r") {
			t.Errorf("a second line changes the first: %+v, %v", again, err)
		}
	})
}

package health

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// A pattern is a run of bytes of which single hexadecimal digits may be anything.
type pattern struct {
	want, mask []byte
}

// parsePattern reads hexadecimal digits; x stands for any digit where wild is
// true, and blanks are for the eye.
func parsePattern(text string, wild bool) (pattern, error) {
	digits := strings.ToLower(strings.Join(strings.Fields(text), ""))
	if len(digits)%2 != 0 {
		return pattern{}, fmt.Errorf("%q has %d digits: two make a byte", text, len(digits))
	}
	p := pattern{make([]byte, len(digits)/2), make([]byte, len(digits)/2)}
	for i := range digits {
		value, mask := strings.IndexByte("0123456789abcdef", digits[i]), byte(15)
		if wild && digits[i] == 'x' {
			value, mask = 0, 0
		}
		if value < 0 {
			return pattern{}, fmt.Errorf("%q is no hexadecimal digit", digits[i])
		}
		p.want[i/2] = p.want[i/2]<<4 | byte(value)
		p.mask[i/2] = p.mask[i/2]<<4 | mask
	}
	return p, nil
}

// begins says whether data begins with the pattern.
func (p pattern) begins(data []byte) bool {
	if len(data) < len(p.want) {
		return false
	}
	masked := make([]byte, len(p.want))
	for i := range masked {
		masked[i] = data[i] & p.mask[i]
	}
	return bytes.Equal(masked, p.want)
}

// silent says that nothing is sent and nothing expected.
func (t Talk) silent() bool {
	return t.Send == "" && t.SendHex == "" && !t.expects()
}

// expects says that an answer has to come.
func (t Talk) expects() bool {
	return t.Expect != "" || t.ExpectHex != "" || t.Reply || t.MinReply != 0 || t.MaxReply != 0
}

func validateTalk(s Spec) (found []FieldError) {
	if s.Send != "" && s.SendHex != "" {
		found = append(found, FieldError{"sendHex", "stands beside send", "leave one of them out"})
	}
	if s.Expect != "" && s.ExpectHex != "" {
		found = append(found, FieldError{"expectHex", "stands beside expect", "leave one of them out"})
	}
	checkHex(&found, "sendHex", s.SendHex, false)
	checkHex(&found, "expectHex", s.ExpectHex, true)
	checkRegexp(&found, "expect", s.Expect)
	if s.MaxReply != 0 && s.MinReply > s.MaxReply {
		found = append(found, FieldError{"minReply", fmt.Sprintf("%d is more than maxReply, %d", s.MinReply, s.MaxReply), "exchange them"})
	}
	if s.FullMTU && (s.Send != "" || s.SendHex != "") {
		found = append(found, FieldError{"fullMTU", "stands beside a payload, whose size it would change", "leave out send and sendHex"})
	}
	return found
}

func checkHex(found *[]FieldError, field, text string, wild bool) {
	remedy := "write pairs of hexadecimal digits, as 0a 1b"
	if wild {
		remedy += ", or x for any digit"
	}
	if _, err := parsePattern(text, wild); err != nil {
		*found = append(*found, FieldError{field, err.Error(), remedy})
	}
}

func checkRegexp(found *[]FieldError, field, text string) {
	if _, err := regexp.Compile(text); err != nil {
		*found = append(*found, FieldError{field, err.Error(), "write a regular expression of RE2; quote special characters with \\"})
	}
}

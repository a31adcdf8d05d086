package ipvsadm

import "strings"

// spaces are what C's number readers skip before a number.
const spaces = " \t\n\v\f\r"

// number reads s as strtol does in base 10, all of it: leading space and a sign
// are allowed, and "010" is ten. It fails outside low to high.
func number(s string, low, high int64) (int64, bool) {
	digits := strings.TrimLeft(s, spaces)
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	// Saturate well above every limit in use, far from overflow.
	var n int64
	for _, c := range []byte(digits) {
		n = min(n*10+int64(c-'0'), 1<<40)
	}
	if negative {
		n = -n
	}
	return n, low <= n && n <= high
}

// leadingNumber reads s as atoi does: as far as it is a number, else 0.
func leadingNumber(s string) int64 {
	s = strings.TrimLeft(s, spaces)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := number(s[:end], -1<<40, 1<<40)
	return n
}

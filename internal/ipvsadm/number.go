package ipvsadm

import (
	"errors"
	"strconv"
	"strings"
)

// spaces are what C's number readers skip before a number.
const spaces = " \t\n\v\f\r"

// number reads s as strtol does in base 10, all of it: leading space and a sign
// are allowed, and "010" is ten. It fails outside low to high.
func number(s string, low, high int64) (int64, bool) {
	s = strings.TrimLeft(s, spaces)
	// Out of range ParseInt returns the nearest number, which is out of low to
	// high as well.
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, false
	}
	return n, low <= n && n <= high
}

// leadingNumber reads s as atoi does: as far as it is a number, else 0. What is
// too large for 32 bits loses the upper ones.
func leadingNumber(s string) int32 {
	s = strings.TrimLeft(s, spaces)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64)
	return int32(n)
}

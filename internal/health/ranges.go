package health

import (
	"fmt"
	"strconv"
	"strings"
)

// A span is a range of numbers, both ends included.
type span struct{ from, to int }

// spans are ranges of numbers, as status and exit codes are written.
type spans []span

// parseSpans reads numbers and ranges from least to most, parted by blanks or
// commas: "200-299 404".
func parseSpans(text string, least, most int) (spans, error) {
	var all spans
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		low, high, is := strings.Cut(word, "-")
		if !is {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from > to || from < least || to > most {
			return nil, fmt.Errorf("%q is not a number or range from %d to %d", word, least, most)
		}
		all = append(all, span{from, to})
	}
	return all, nil
}

func (s spans) has(n int) bool {
	for _, r := range s {
		if n >= r.from && n <= r.to {
			return true
		}
	}
	return false
}

func checkSpans(found *[]FieldError, field, text string, least, most int, example string) {
	if _, err := parseSpans(text, least, most); err != nil {
		*found = append(*found, FieldError{field, err.Error(), "write codes and ranges, as " + example})
	}
}

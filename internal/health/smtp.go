package health

import (
	"fmt"
	"strings"
)

func validateSMTP(s Spec) []FieldError {
	if strings.ContainsFunc(s.Helo, func(c rune) bool { return c <= ' ' || c >= 127 }) {
		return []FieldError{{"helo", fmt.Sprintf("%q is no host name", s.Helo), "write a name without blanks"}}
	}
	return nil
}

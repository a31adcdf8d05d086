package health

import (
	"fmt"
	"strings"
)

func validateHTTP(s Spec) (found []FieldError) {
	oneOf(&found, "version", s.Version, "1.0", "1.1", "2")
	found = append(found, requestErrors(s.Request, "")...)
	for i, r := range s.Requests {
		found = append(found, requestErrors(r, fmt.Sprintf("requests[%d].", i))...)
	}
	return found
}

// requestErrors finds what is wrong with r; at is what its fields' names begin
// with.
func requestErrors(r Request, at string) (found []FieldError) {
	bad := func(field, problem, remedy string) {
		found = append(found, FieldError{at + field, problem, remedy})
	}
	if r.Path != "" && (r.Path[0] != '/' || strings.ContainsFunc(r.Path, func(c rune) bool { return c <= ' ' || c == 127 })) {
		bad("path", fmt.Sprintf("%q does not begin with / or has blanks", r.Path), "write a path as it stands in a request, as /health")
	}
	if !token(r.Method) {
		bad("method", fmt.Sprintf("%q is no method", r.Method), "write one like GET or HEAD")
	}
	if strings.ContainsFunc(r.Host, func(c rune) bool { return c <= ' ' || c == '/' }) {
		bad("host", fmt.Sprintf("%q is no host", r.Host), "write a name, with a port if it needs one")
	}
	for name, value := range r.Headers {
		if name == "" || !token(name) || strings.ContainsAny(value, "\r\n") {
			bad("headers", fmt.Sprintf("%q: %q cannot be a header", name, value), "write a name of letters, digits and dashes, and a value of one line")
		}
	}
	checkSpans(&found, at+"status", r.Status, 100, 999, "200-299 404")
	checkRegexp(&found, at+"body", r.Body)
	checkRegexp(&found, at+"notBody", r.NotBody)
	return append(found, digestErrors(r, at)...)
}

func digestErrors(r Request, at string) (found []FieldError) {
	for _, d := range []struct {
		name, text string
		bytes      int
	}{{"md5", r.MD5, 16}, {"sha256", r.SHA256, 32}} {
		if p, err := parsePattern(d.text, false); err != nil || d.text != "" && len(p.want) != d.bytes {
			found = append(found, FieldError{at + d.name, fmt.Sprintf("%q is no such digest", d.text), fmt.Sprintf("write its %d hexadecimal digits", 2*d.bytes)})
		}
	}
	return found
}

// token says whether s consists of characters that names in HTTP may have.
func token(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 127 || strings.ContainsRune("()<>@,;:\\\"/[]?={}", c)
	})
}

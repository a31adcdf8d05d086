package health

import (
	"fmt"
	"path/filepath"
	"strings"
)

func validateExec(s Spec) (found []FieldError) {
	if len(s.Command) > 0 && !filepath.IsAbs(s.Command[0]) {
		found = append(found, FieldError{"command", fmt.Sprintf("%q is no whole path", s.Command[0]), "write it from / on, and each argument as an item of its own"})
	}
	checkSpans(&found, "exitCodes", s.ExitCodes, 0, 255, "0 3-5")
	if s.Dynamic && s.ExitCodes != "" {
		found = append(found, FieldError{"exitCodes", "has no say over a dynamic check, where 0 and 2 to 255 are well", "leave out exitCodes or dynamic"})
	}
	if user, group, both := strings.Cut(s.User, ":"); s.User != "" && (user == "" || both && group == "") {
		found = append(found, FieldError{"user", fmt.Sprintf("%q is no user", s.User), "write a name, or a name and a group as nobody:nogroup"})
	}
	return found
}

package health

import (
	"fmt"
	"path/filepath"
)

func validateFile(s Spec) (found []FieldError) {
	if s.File != "" && !filepath.IsAbs(s.File) {
		found = append(found, FieldError{"file", fmt.Sprintf("%q is no whole path", s.File), "write it from / on"})
	}
	if s.Factor != 0 && !s.Dynamic {
		found = append(found, FieldError{"factor", "does nothing without dynamic", "add dynamic: true, or leave it out"})
	}
	if s.Reverse && s.Dynamic {
		found = append(found, FieldError{"reverse", "has no say over a weight", "leave it out; a negative factor turns a weight round"})
	}
	return found
}

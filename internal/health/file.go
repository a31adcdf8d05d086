package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// newFile reads a file that somebody else writes: a word, or a number.
func newFile(s Spec, target Target) (probe, error) {
	return func(context.Context) (found, error) {
		text, _, err := ReadWord(s.File)
		if err != nil {
			return found{}, err
		}
		return fileJudge(s, target.Weight, text)
	}, nil
}

// ReadWord reads a short file, and when it was written. Opened so, a pipe or a device
// does not hold up.
func ReadWord(name string) (text string, written time.Time, err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", written, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", written, errors.Join(err, errors.New("not a plain file"))
	}
	b, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(b)), info.ModTime(), err
}

// fileJudge says what the text of a file means for a destination of that weight.
func fileJudge(s Spec, weight int, text string) (found, error) {
	zero := 0
	switch text {
	case "up":
		return found{detail: text}, nil
	case "drain":
		return found{detail: text, weight: &zero}, nil
	case "down":
		return found{}, errors.New("the file says down")
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return found{}, fmt.Errorf("the file says %.20q: neither up, down, drain nor a number", text)
	case s.Dynamic:
		weight = max(weight+n*cmp.Or(s.Factor, 1), 0)
		return found{detail: text, weight: &weight}, nil
	case (n == 0) == s.Reverse:
		return found{}, fmt.Errorf("the file says %d", n)
	}
	return found{detail: text}, nil
}

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

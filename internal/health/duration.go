package health

import (
	"fmt"
	"strconv"
	"time"
)

// A Duration is a length of time that is written with its unit: 500ms, 2s, 1m30s.
type Duration time.Duration

// UnmarshalText reads a duration. A bare number is refused, but for 0: whether it
// means seconds or milliseconds is what readers of such files disagree about.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		if _, bare := strconv.ParseFloat(string(text), 64); bare == nil {
			return fmt.Errorf("%q has no unit: write %ss for seconds", text, text)
		}
		return fmt.Errorf("%q is not a duration: write one like 500ms, 2s or 1m30s", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the duration as time.Duration prints it.
func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) or(other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return time.Duration(d)
}

package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// ReadSysctls reads a file as sysctl has it: NAME = VALUE, and comments behind #
// or ;. What is not a setting of IPVS is the kernel's, and left out. Every line
// that is no such is reported; whether names and values are right is not looked
// at.
func ReadSysctls(from io.Reader) (values []ipvs.SysctlValue, wrong []*LineError) {
	lines := bufio.NewScanner(from)
	for number := 1; lines.Scan(); number++ {
		l := line{number, strings.TrimSpace(lines.Text())}
		if l.text == "" || l.text[0] == '#' || l.text[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(l.text, "=")
		if !ok {
			wrong = append(wrong, l.wrong(errors.New("want NAME = VALUE")))
			continue
		}
		key = strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(key, "-")), "/", ".")
		if strings.HasPrefix(key, ipvs.SysctlPrefix) {
			values = append(values, ipvs.SysctlValue{Name: key, Value: strings.TrimSpace(value)})
		}
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, &LineError{Err: fmt.Errorf("reading the settings: %w", err)})
	}
	return values, wrong
}

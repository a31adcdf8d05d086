package config

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// ReadMarks reads what `evs mark save` writes: the options of one rule of marks
// on each line. Blank lines and those that start with # are left out. Every line
// that is wrong is reported, also one that matches the same packets as another.
func ReadMarks(from io.Reader) (rules []ipvs.MarkRule, wrong []*LineError) {
	var at []int // the lines of rules
	lines := bufio.NewScanner(from)
	for number := 1; lines.Scan(); number++ {
		l := line{number, strings.TrimSpace(lines.Text())}
		if l.text == "" || l.text[0] == '#' {
			continue
		}
		r, err := readMark(l.text)
		if err != nil {
			wrong = append(wrong, l.wrong(err))
			continue
		}
		if i := slices.IndexFunc(rules, r.SameMatch); i >= 0 {
			wrong = append(wrong, l.wrong(fmt.Errorf("%w: see line %d", ipvs.ErrMarkExists, at[i])))
			continue
		}
		rules, at = append(rules, r), append(at, number)
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, &LineError{Err: fmt.Errorf("reading the rules: %w", err)})
	}
	return rules, wrong
}

func readMark(text string) (r ipvs.MarkRule, err error) {
	given, err := options.Read(options.Mark, strings.Fields(text))
	if err != nil {
		return r, err
	}
	if err := options.Apply(options.Mark, &r, given); err != nil {
		return r, err
	}
	return r, r.Validate()
}

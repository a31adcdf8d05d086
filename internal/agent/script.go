package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// Script is the measure that is a program's.
const Script = "script"

func (a *Agent) prepareScript() (err error) {
	if len(a.options.Script) == 0 || !filepath.IsAbs(a.options.Script[0]) {
		return fmt.Errorf("script %q: write the whole path of a program", a.options.Script)
	}
	a.script, err = health.CommandOf(a.options.Script, nil, a.options.User)
	return err
}

// ask runs the script, once within a window however many clients there are.
func (a *Agent) ask(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said != "" && time.Since(a.at) < a.options.Window {
		return a.said, nil
	}
	a.said = ""
	code, said, err := a.script.Run(ctx)
	if err != nil {
		return "", errors.New("script: " + health.Cause(err, patience))
	}
	if code != 0 {
		return "", fmt.Errorf("script: exit code %d: %s", code, weight.Printable(said))
	}
	line, err := scripted(said)
	if err == nil {
		a.said, a.at = line, time.Now()
	}
	return line, err
}

// scripted is the answer that a script's line is: a load, or an answer as it stands.
func scripted(said string) (string, error) {
	if load, err := strconv.ParseFloat(said, 64); err == nil {
		if !(load >= 0 && load <= 1e6) {
			return "", fmt.Errorf("script: it says %s, want a load from 0 on", said)
		}
		return lineOf(load, Script), nil
	}
	if _, err := weight.ParseReply(said); err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	return weight.Printable(said), nil
}

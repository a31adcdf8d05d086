// Package ipvsadm is the ipvsadm language: the options, the checks and the
// complaints of the command ipvsadm 1.31, and its listings, byte for byte.
//
// Parse and Printer are pure; Main joins them with a table that it is given. The
// package never touches the kernel itself and knows no default of its own: what
// a table does with a service is for the table to say.
package ipvsadm

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Host is what the command needs of the system it runs on.
type Host struct {
	Open  Opener
	Names Names
	// UID is the effective user; only root is served.
	UID int
}

// programs are the names under which the command can be called.
var programs = map[string]func(c *command, args []string) int{
	"ipvsadm":         func(c *command, args []string) int { code, _ := c.run(args); return code },
	"ipvsadm-save":    (*command).saveProgram,
	"ipvsadm-restore": (*command).restoreProgram,
}

// Answers reports whether a program called name is this command.
func Answers(name string) bool {
	return programs[name] != nil
}

//go:embed usage.txt
var usage string

const version = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)"

// notRoot is what everybody but root gets, whatever the command line.
const notRoot = "Can't initialize ipvs: " + permissionDenied + "\n" +
	"Are you sure that IP Virtual Server is built in the kernel or as module?"

// Main runs the program called name, which must be one that Answers knows, and
// returns its exit code.
func Main(ctx context.Context, name string, args []string, std Streams, host Host) int {
	out := bufio.NewWriter(std.Out)
	c := &command{ctx: ctx, host: host, in: std.In, out: out, err: std.Err}
	defer c.close()
	return programs[name](c, args)
}

// say prints a line on standard error. What was printed before is flushed, so
// that the two streams stay in order on a terminal.
func (c *command) say(text string) {
	c.out.Flush()
	fmt.Fprintln(c.err, text)
}

// saveProgram is ipvsadm-save: -S with at most -n. Other words are ignored.
func (c *command) saveProgram(args []string) int {
	save := []string{"-S"}
	for _, arg := range args {
		switch {
		case arg == "-n":
			save = []string{"-S", "-n"}
		case strings.HasPrefix(arg, "-"):
			c.say("ipvsadm-save: Script to save the IPVS table to stdout.\n" +
				"   With the -n option, prints out the table in numeric format.")
			return exitListing
		}
	}
	code, _ := c.run(save)
	return code
}

// restoreProgram is ipvsadm-restore: it clears the table and reads rules, of
// which lines that start with # are comments.
func (c *command) restoreProgram([]string) int {
	rules, err := io.ReadAll(c.in)
	if err != nil {
		c.say(fmt.Sprintf("ipvsadm-restore: reading the rules: %v", err))
		return exitFailure
	}
	var kept strings.Builder
	for rule := range strings.Lines(string(rules)) {
		if !strings.HasPrefix(rule, "#") {
			kept.WriteString(rule)
		}
	}
	c.in = strings.NewReader(kept.String())
	c.run([]string{"-C"})
	code, _ := c.run([]string{"-R"})
	return code
}

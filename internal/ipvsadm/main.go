// Package ipvsadm is the ipvsadm language.
package ipvsadm

import (
	"context"
	"io"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Answers reports whether a program called name is this command.
func Answers(name string) bool {
	return name == "ipvsadm" || name == "ipvsadm-save" || name == "ipvsadm-restore"
}

// Main runs the command and returns its exit code.
func Main(ctx context.Context, name string, args []string, std Streams) int {
	return 1
}

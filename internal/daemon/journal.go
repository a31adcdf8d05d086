package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// ToJournal reports whether a file is the journal, which is what $JOURNAL_STREAM says of
// one: its device and inode. Programs that a service starts inherit the variable, too.
func ToJournal(f *os.File, stream string) bool {
	info, err := f.Stat()
	if err != nil || stream == "" {
		return false
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", is.Dev, is.Ino)
}

// NewLog logs to w, a line for each record. For the journal, which has times of its
// own, a line begins with its level as syslog numbers it and has no time.
func NewLog(w io.Writer, journal bool) *slog.Logger {
	if !journal {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	buffer := &bytes.Buffer{}
	drop := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	text := slog.NewTextHandler(buffer, &slog.HandlerOptions{ReplaceAttr: drop})
	return slog.New(&prefixed{text, &sync.Mutex{}, buffer, w})
}

// A prefixed puts the level before what another handler writes.
type prefixed struct {
	slog.Handler
	mu     *sync.Mutex
	buffer *bytes.Buffer
	out    io.Writer
}

// Handle writes a record.
func (j *prefixed) Handle(ctx context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buffer.Reset()
	j.buffer.WriteString(priority(r.Level))
	if err := j.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := j.out.Write(j.buffer.Bytes())
	return err
}

// WithAttrs and WithGroup keep what is before the text.
func (j *prefixed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &prefixed{j.Handler.WithAttrs(attrs), j.mu, j.buffer, j.out}
}

// WithGroup is as WithAttrs.
func (j *prefixed) WithGroup(name string) slog.Handler {
	return &prefixed{j.Handler.WithGroup(name), j.mu, j.buffer, j.out}
}

// priority is a level as syslog numbers it.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

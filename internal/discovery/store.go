package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A store is a directory with what was found last, a file for each task; "" is none.
type store string

func (s store) get(id string) ([]byte, error) {
	if s == "" {
		return nil, ErrNothing
	}
	text, err := os.ReadFile(s.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNothing
	}
	return text, err
}

// put writes a file beside and renames it, so that it is whole or as it was.
func (s store) put(id string, text []byte) error {
	if s == "" {
		return nil
	}
	if err := os.MkdirAll(string(s), 0o755); err != nil {
		return err
	}
	beside := s.file(id) + ".new"
	if err := os.WriteFile(beside, text, 0o644); err != nil {
		return fmt.Errorf("what was found cannot be kept: %w", err)
	}
	return os.Rename(beside, s.file(id))
}

func (s store) file(id string) string { return filepath.Join(string(s), id+".yaml") }

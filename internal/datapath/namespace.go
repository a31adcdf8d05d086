package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

const evsDir = "evs"

// place is where the tables of a machine are pinned, and this namespace's.
type place struct {
	root string // of all namespaces
	dir  string // of this one; its flock serialises writers
}

func here() (place, error) {
	fs, err := bpffs()
	if err != nil {
		return place{}, err
	}
	cookie, err := hostnet.Cookie()
	if err != nil {
		return place{}, err
	}
	root := filepath.Join(fs, evsDir)
	return place{root: root, dir: filepath.Join(root, fmt.Sprintf("%x", cookie))}, nil
}

func (p place) table() string    { return filepath.Join(p.dir, "table") }
func (p place) building() string { return filepath.Join(p.dir, "building") }
func (p place) decap() string    { return filepath.Join(p.dir, "decap") }

// leave removes the directory if nothing is pinned in it any more: the table
// and the decapsulator may each be there without the other.
func (p place) leave() error {
	err := os.Remove(p.dir)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// alive reports whether anything here belongs to a namespace that lives.
func (p place) alive() bool { return alive(p.table()) || alive(p.decap()) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

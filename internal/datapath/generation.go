package datapath

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
)

// ProgramVersion is that of this program, which the linker knows.
var ProgramVersion = "unknown"

// Generation says which programs serve a table.
type Generation struct {
	// Version is that of the evs that they came with.
	Version string
	// Programs is a digest of what they were compiled to.
	Programs string
	// Layout is the number of the layout of the records.
	Layout uint32
}

// OwnGeneration is that of the data path this program has with it.
func OwnGeneration() Generation {
	digest := sha256.New()
	for _, object := range [][]byte{_ControlBytes, _TcBytes, _XdpBytes} {
		digest.Write(object)
	}
	return Generation{Version: ProgramVersion, Programs: hex.EncodeToString(digest.Sum(nil)[:6]), Layout: abiVersion}
}

// RunningGeneration is that of the table of this namespace, also of one with another
// layout than this program's, or ErrNoTable.
func RunningGeneration() (Generation, error) {
	if os.Geteuid() != 0 {
		return Generation{}, ErrPermission
	}
	p, err := here()
	if err != nil {
		return Generation{}, err
	}
	if !exists(p.table()) {
		return Generation{}, ErrNoTable
	}
	return generationOf(p.table())
}

// generationOf reads the generation of the table pinned in dir. That of a table made
// before they were written down has neither version nor digest.
func generationOf(dir string) (Generation, error) {
	layout, err := layoutOf(dir)
	if err != nil {
		return Generation{}, err
	}
	signed, err := mapArray[controlGeneration](dir, controlMapGenerationMap)
	if errors.Is(err, os.ErrNotExist) {
		return Generation{Version: "unknown", Programs: "unknown", Layout: layout}, nil
	}
	if err != nil {
		return Generation{}, err
	}
	defer signed.close()
	g := &signed.elems[0]
	return Generation{Version: textOf(g.Version[:]), Programs: textOf(g.Programs[:]), Layout: layout}, nil
}

// layoutOf reads the number that the settings of every layout begin with.
func layoutOf(dir string) (uint32, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, controlMapSettingsMap), nil)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	value, err := m.LookupBytes(uint32(0))
	if err != nil {
		return 0, err
	}
	return *as[uint32](&value[0]), nil
}

// signGeneration notes in the table pinned in dir that it has this program's data path.
func signGeneration(dir string) error {
	signed, err := mapArray[controlGeneration](dir, controlMapGenerationMap)
	if err != nil {
		return err
	}
	defer signed.close()
	own := OwnGeneration()
	signed.elems[0] = controlGeneration{}
	setText(signed.elems[0].Version[:], own.Version)
	setText(signed.elems[0].Programs[:], own.Programs)
	return nil
}

// setText writes as much of a text as there is room for with a zero behind it.
func setText(to []int8, text string) {
	for i := range min(len(text), len(to)-1) {
		to[i] = int8(text[i])
	}
}

func textOf(from []int8) string {
	var b strings.Builder
	for _, c := range from {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

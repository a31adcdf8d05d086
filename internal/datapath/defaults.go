package datapath

import (
	"encoding/binary"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// defaultNew gives the settings of the table pinned in now that programs in old did not
// know their defaults: words that were spare, and timeouts of states.
func defaultNew(now, old string, spec *ebpf.MapSpec) error {
	sysctls, states, err := knownWords(old)
	if err != nil {
		return err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(now, controlMapSettingsMap), nil)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	defer m.Close()
	settings, err := mapBytes(m)
	if err != nil {
		return err
	}
	defer settings.close()
	words, hasWords := fieldOf(spec.Value, "sysctl")
	timeouts, hasTimeouts := fieldOf(spec.Value, "timeout")
	if !hasWords || !hasTimeouts {
		return fmt.Errorf("settings: %w", ErrLayout)
	}
	fresh := Settings{}
	fresh.setDefaults()
	for _, row := range Sysctls {
		for _, place := range row.at {
			if !sysctls[uint64(place)] {
				binary.NativeEndian.PutUint32(words.in(settings.elem(0))[4*place:], fresh.Sysctl[place])
			}
		}
	}
	for state := states; state < len(defaultTimeouts); state++ {
		binary.NativeEndian.PutUint32(timeouts.in(settings.elem(0))[4*state:], fresh.Timeout[state])
	}
	return nil
}

// knownWords are the places of the settings that the programs pinned in dir know, and
// how many states.
func knownWords(dir string) (sysctls map[uint64]bool, states int, err error) {
	was, err := enumOf(dir, "sysctl")
	if err != nil {
		return nil, 0, err
	}
	sysctls = map[uint64]bool{}
	for _, v := range was.Values {
		sysctls[v.Value] = v.Name != "SYSCTL_COUNT"
	}
	if was, err = enumOf(dir, "conn_state"); err != nil {
		return nil, 0, err
	}
	return sysctls, len(was.Values) - 1, nil // STATE_COUNT is no state
}

// layoutNumber is that of the layout that a collection was compiled with.
func layoutNumber(spec *ebpf.CollectionSpec) (uint32, error) {
	var e *btf.Enum
	if err := spec.Types.TypeByName("abi", &e); err != nil {
		return 0, fmt.Errorf("compiled data path: %w", err)
	}
	return uint32(e.Values[0].Value), nil
}

package ipvs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/datapath"
)

// SysctlPrefix is what the kernel's names of settings begin with. It may be
// left out wherever a setting is named.
const SysctlPrefix = "net.ipv4.vs."

// SysctlEffect says what becomes of a setting.
type SysctlEffect string

// The effects.
const (
	// SysctlHonoured: packets feel it.
	SysctlHonoured SysctlEffect = "honoured"
	// SysctlStored: it is kept, and not acted on yet: EVS does what the
	// default says.
	SysctlStored SysctlEffect = "stored, not acted on yet"
	// SysctlFixed: it has no meaning here, About says why, and it cannot be
	// changed.
	SysctlFixed SysctlEffect = "no meaning here"
)

var sysctlEffects = map[datapath.Effect]SysctlEffect{
	datapath.Honoured: SysctlHonoured, datapath.Stored: SysctlStored, datapath.Fixed: SysctlFixed,
}

// Sysctl is a setting of the table: one that IPVS has under net.ipv4.vs, or one
// of EVS's own.
type Sysctl struct {
	Name    string // without SysctlPrefix
	Value   string // numbers, with a tab between if they are two, as the kernel shows them
	Default string
	Range   string // in words
	Effect  SysctlEffect
	About   string
}

// Sysctls returns every setting, the kernel's by name and then EVS's own. A
// table that does not exist has the defaults.
func (t *Table) Sysctls() ([]Sysctl, error) {
	all := SysctlDefaults()
	err := t.view(func(dp *datapath.Table) error {
		for i, row := range datapath.Sysctls {
			all[i] = sysctlOf(row, row.Get(dp.Settings()))
		}
		return nil
	})
	return all, err
}

// SysctlDefaults returns the settings of a new table, in the order of Sysctls.
func SysctlDefaults() []Sysctl {
	var all []Sysctl
	for _, row := range datapath.Sysctls {
		all = append(all, sysctlOf(row, row.Default))
	}
	return all
}

func sysctlOf(row datapath.Sysctl, words []int64) Sysctl {
	return Sysctl{
		Name: row.Name, Value: wordsText(words), Default: wordsText(row.Default),
		Range: row.Kind.Text, Effect: sysctlEffects[row.Effect], About: row.About,
	}
}

func wordsText(words []int64) string {
	text := make([]string, len(words))
	for i, word := range words {
		text[i] = strconv.FormatInt(word, 10)
	}
	return strings.Join(text, "\t")
}

// Sysctl returns one setting, or ErrNoSysctl.
func (t *Table) Sysctl(name string) (Sysctl, error) {
	row, err := sysctlRow(name)
	if err != nil {
		return Sysctl{}, err
	}
	words := row.Default
	err = t.view(func(dp *datapath.Table) error {
		words = row.Get(dp.Settings())
		return nil
	})
	return sysctlOf(row, words), err
}

func sysctlRow(name string) (datapath.Sysctl, error) {
	short := strings.TrimPrefix(strings.ReplaceAll(name, "/", "."), SysctlPrefix)
	i := slices.IndexFunc(datapath.Sysctls, func(row datapath.Sysctl) bool { return row.Name == short })
	if i < 0 {
		return datapath.Sysctl{}, fmt.Errorf("%s: %w", name, ErrNoSysctl)
	}
	return datapath.Sysctls[i], nil
}

// SetSysctl changes a setting as SetSysctls does.
func (t *Table) SetSysctl(name, value string) error {
	return t.SetSysctls([]SysctlValue{{name, value}})
}

// SysctlValue is what a setting shall be.
type SysctlValue struct{ Name, Value string }

// SetSysctls changes settings, all or, if one of them cannot be, none. Packets
// follow at once; a change of conn_tab_size moves the connections to another table, while
// packets flow, and fails with ErrNoSpace if they do not fit in. It fails with ErrNoSysctl for a name that there is not, and
// with ErrInvalid for a value that the kernel would refuse, or for another
// value of a setting that has no meaning here.
//
// Numbers are written as for the kernel: 10, 0x1f, 017. Of a setting of two
// numbers the first may be given alone.
func (t *Table) SetSysctls(values []SysctlValue) error {
	var errs []error
	for _, v := range values { // what needs no table is checked before one is made
		errs = append(errs, v.Validate())
	}
	if err := errors.Join(errs...); err != nil || len(values) == 0 {
		return err
	}
	var before, after datapath.Settings
	err := t.edit(func(dp *datapath.Table) error {
		before, after = *dp.Settings(), *dp.Settings()
		for _, v := range values {
			if err := v.write(&after, true); err != nil {
				return err
			}
		}
		return storeSysctls(dp, &after)
	})
	if err != nil || after.Room() == before.Room() {
		return err
	}
	if err := t.editor.Resize(t.ctx, datapath.Sizes{Conns: after.Room()}); err != nil {
		return errors.Join(translate(err), t.edit(func(dp *datapath.Table) error { return storeSysctls(dp, &before) }))
	}
	return nil
}

// storeSysctls puts the settings of the kernel and EVS's own beside them in force.
func storeSysctls(dp *datapath.Table, s *datapath.Settings) error {
	dp.Settings().Sysctl = s.Sysctl
	return dp.Defend()
}

// With returns the setting as SetSysctls would make it of value.
func (s Sysctl) With(value string) (Sysctl, error) {
	row, err := sysctlRow(s.Name)
	if err != nil {
		return s, err
	}
	var settings datapath.Settings
	if words, ok := sysctlWords(s.Value, row.Kind); ok && len(words) == len(row.Default) {
		row.Set(&settings, words)
	}
	if err := (SysctlValue{s.Name, value}).write(&settings, true); err != nil {
		return s, err
	}
	s.Value = wordsText(row.Get(&settings))
	return s, nil
}

// Validate reports why no table could have the value, as SetSysctls would; of one
// that is given in part it cannot tell.
func (v SysctlValue) Validate() error { return v.write(&datapath.Settings{}, false) }

// write puts the value into settings. Unless they are those in force, a value
// that is given in part is not judged.
func (v SysctlValue) write(to *datapath.Settings, inForce bool) error {
	row, err := sysctlRow(v.Name)
	if err != nil {
		return err
	}
	refuse := func(want string) error {
		return fmt.Errorf("%s%s = %s: %w: want %s", SysctlPrefix, row.Name, v.Value, ErrInvalid, want)
	}
	words, ok := sysctlWords(v.Value, row.Kind)
	switch {
	case row.Effect == datapath.Fixed && ok && slices.Equal(words, row.Default):
		return nil
	case row.Effect == datapath.Fixed:
		return fmt.Errorf("%s%s = %s: %w: it has no meaning here: %s", SysctlPrefix, row.Name, v.Value, ErrInvalid, row.About)
	case !ok || len(words) > len(row.Default):
		return refuse(row.Kind.Text)
	}
	if len(words) < len(row.Default) {
		if !inForce {
			return nil
		}
		words = append(words, row.Get(to)[len(words):]...)
	}
	if row.Kind.Accept != nil {
		if words, ok = row.Kind.Accept(words); !ok {
			return refuse(row.Kind.Text)
		}
	}
	row.Set(to, words)
	return nil
}

// sysctlWords reads the numbers of a value.
func sysctlWords(value string, kind datapath.SysctlKind) ([]int64, bool) {
	var words []int64
	for _, field := range strings.Fields(value) {
		// The kernel has no such digits as Go's 1_000, nor its 0b1 and 0o7.
		if strings.ContainsAny(field, "_oO+") || strings.HasPrefix(strings.ToLower(strings.TrimPrefix(field, "-")), "0b") {
			return nil, false
		}
		n, err := strconv.ParseInt(field, 0, 64)
		if err != nil || n < kind.Min || n > kind.Max {
			return nil, false
		}
		words = append(words, n)
	}
	return words, len(words) > 0
}

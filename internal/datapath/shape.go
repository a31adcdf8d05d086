package datapath

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

/*
The shape of a record is where which of its fields lies, as its type information says,
which the kernel keeps with every map. By it records are carried between tables whose
programs were compiled of different sources: a field goes where the field of its name
is; one that is new is zero, one that is gone is left out. What this stands on is that
names keep their meaning, and that enums grow at their end only.
*/

// sameShape reports whether records of two types lie in memory alike.
func sameShape(a, b btf.Type) bool {
	a, b = btf.UnderlyingType(a), btf.UnderlyingType(b)
	switch a := a.(type) {
	case *btf.Struct:
		b, ok := b.(*btf.Struct)
		return ok && a.Size == b.Size && sameMembers(a.Members, b.Members)
	case *btf.Union:
		b, ok := b.(*btf.Union)
		return ok && a.Size == b.Size && sameMembers(a.Members, b.Members)
	case *btf.Array:
		b, ok := b.(*btf.Array)
		return ok && a.Nelems == b.Nelems && sameShape(a.Type, b.Type)
	}
	return sizeOf(a) == sizeOf(b) && isNumber(a) == isNumber(b)
}

func sameMembers(a, b []btf.Member) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Offset != b[i].Offset || !sameShape(a[i].Type, b[i].Type) {
			return false
		}
	}
	return true
}

func isNumber(t btf.Type) bool {
	switch t.(type) {
	case *btf.Int, *btf.Enum:
		return true
	}
	return false
}

// sizeOf returns the size of a type in bytes, 0 for one that has none.
func sizeOf(t btf.Type) int {
	n, err := btf.Sizeof(t)
	if err != nil {
		return 0
	}
	return n
}

// membersOf returns the members of a struct or union.
func membersOf(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// field is a part of a record.
type field struct {
	at, size int
	kind     btf.Type
}

// fieldOf finds a field of a record by its name.
func fieldOf(record btf.Type, name string) (field, bool) {
	for _, m := range membersOf(record) {
		if m.Name == name {
			return field{int(m.Offset.Bytes()), sizeOf(m.Type), m.Type}, true
		}
	}
	return field{}, false
}

// in returns the bytes of the field.
func (f field) in(record []byte) []byte { return record[f.at : f.at+f.size] }

// get reads a number; of a field that is not there it is 0.
func (f field) get(record []byte) uint64 { return readNumber(f.in(record)) }

// set writes a number.
func (f field) set(record []byte, value uint64) { writeNumber(f.in(record), value) }

func readNumber(b []byte) uint64 {
	var word [8]byte
	copy(word[:], b)
	return binary.LittleEndian.Uint64(word[:])
}

func writeNumber(b []byte, value uint64) {
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], value)
	copy(b, word[:])
}

// translate writes what a record of one type says to one of another.
func translate(to, from []byte, toType, fromType btf.Type) {
	if sameShape(toType, fromType) {
		copy(to, from)
		return
	}
	toType, fromType = btf.UnderlyingType(toType), btf.UnderlyingType(fromType)
	switch t := toType.(type) {
	case *btf.Struct, *btf.Union:
		for _, m := range membersOf(t) {
			into := field{int(m.Offset.Bytes()), sizeOf(m.Type), m.Type}
			if source, ok := fieldOf(fromType, m.Name); ok {
				translate(into.in(to), source.in(from), m.Type, source.kind)
			}
		}
	case *btf.Array:
		source, ok := fromType.(*btf.Array)
		if !ok {
			return
		}
		wide, narrow := sizeOf(t.Type), sizeOf(source.Type)
		for i := range int(min(t.Nelems, source.Nelems)) {
			translate(to[i*wide:][:wide], from[i*narrow:][:narrow], t.Type, source.Type)
		}
	default:
		if isNumber(toType) && isNumber(fromType) {
			writeNumber(to, readNumber(from))
		}
	}
}

// recordOf returns the type that the kernel keeps of a map's records, by its name in
// the program that reads them; types without a name are as the program has them.
func recordOf(types *btf.Spec, known btf.Type) btf.Type {
	if known == nil || known.TypeName() == "" {
		return known
	}
	found, err := types.AnyTypesByName(known.TypeName())
	if err != nil {
		return nil
	}
	for _, t := range found {
		switch btf.UnderlyingType(t).(type) {
		case *btf.Struct, *btf.Union, *btf.Int, *btf.Enum:
			return t
		}
	}
	return nil
}

// fits reports whether a map is as a program declares it: of the same kind and size,
// with records of the same shape.
func fits(m *ebpf.Map, spec *ebpf.MapSpec) (bool, error) {
	if spec.Compatible(m) != nil {
		return false, nil
	}
	if len(membersOf(spec.Value)) == 0 && len(membersOf(spec.Key)) == 0 {
		return true, nil
	}
	types, err := typesOf(m)
	if err != nil {
		return false, err
	}
	for _, t := range []btf.Type{spec.Key, spec.Value} {
		was := recordOf(types, t)
		if t != nil && (was == nil || !sameShape(t, was)) {
			return false, nil
		}
	}
	return true, nil
}

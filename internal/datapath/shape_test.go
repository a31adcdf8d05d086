package datapath

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var (
	u8, u16, u32 = &btf.Int{Name: "u8", Size: 1}, &btf.Int{Name: "u16", Size: 2}, &btf.Int{Name: "u32", Size: 4}
	pair         = &btf.Array{Type: u16, Nelems: 2}
	triple       = &btf.Array{Type: u16, Nelems: 3}
)

func record(size uint32, members ...btf.Member) *btf.Struct {
	return &btf.Struct{Name: "record", Size: size, Members: members}
}

func member(name string, at int, t btf.Type) btf.Member {
	return btf.Member{Name: name, Offset: btf.Bits(at * 8), Type: t}
}

func TestRecordsAreCarriedByTheNamesOfTheirFields(t *testing.T) {
	old := record(8, member("a", 0, u8), member("b", 2, u16), member("c", 4, u32))
	from := []byte{1, 0, 2, 3, 4, 5, 6, 7}
	for _, c := range []struct {
		name string
		now  btf.Type
		was  btf.Type
		want []byte
		same bool
	}{
		{"as they are, where nothing changed", old, old, from, true},
		{"to where the fields are now", record(8, member("c", 0, u32), member("b", 4, u16), member("a", 6, u8)), old, []byte{4, 5, 6, 7, 2, 3, 1, 0}, false},
		{"with zero for a field that is new", record(8, member("a", 0, u8), member("n", 1, u8), member("c", 4, u32)), old, []byte{1, 0, 0, 0, 4, 5, 6, 7}, false},
		{"with numbers that are wider", record(8, member("b", 0, u32), member("a", 4, u32)), old, []byte{2, 3, 0, 0, 1, 0, 0, 0}, false},
		{"with numbers that are narrower", record(2, member("c", 0, u16)), old, []byte{4, 5}, false},
		{"within records", record(4, member("r", 0, record(4, member("b", 0, u16), member("a", 2, u8)))), record(8, member("r", 0, old)), []byte{2, 3, 1, 0}, false},
		{"in arrays that are longer", record(6, member("p", 0, triple)), record(4, member("p", 0, pair)), []byte{1, 0, 2, 3, 0, 0}, false},
		{"in unions", &btf.Union{Size: 8, Members: []btf.Member{member("x", 0, u32), member("y", 0, u8)}}, &btf.Union{Size: 4, Members: []btf.Member{member("x", 0, u32)}}, []byte{1, 0, 2, 3, 0, 0, 0, 0}, false},
	} {
		to := make([]byte, sizeOf(c.now))
		translate(to, from, c.now, c.was)
		if !bytes.Equal(to, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, to, c.want)
		}
		if got := sameShape(c.now, c.was); got != c.same {
			t.Errorf("%s: taken for the same shape: %v", c.name, got)
		}
	}
}

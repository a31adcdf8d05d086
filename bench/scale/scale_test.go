package scale

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/room"
)

func TestMain(m *testing.M) {
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// commands builds the programs that are measured.
func commands(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "evs"), "../../cmd/evs").CombinedOutput(); err != nil {
		t.Fatalf("build evs: %v: %s", err, out)
	}
	if err := os.Symlink("evs", filepath.Join(dir, "ipvsadm")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The measurement itself makes sure that the table holds, and ipvsadm lists, as many
// connections as were asked for.
func TestATableIsFilledListedAndLoaded(t *testing.T) {
	dir := commands(t)
	link, err := room.Wire(packet.Documentation)
	if err != nil {
		t.Fatal(err)
	}
	const conns = 2000
	r, err := Suite{
		Scene: packet.Documentation, Link: link, Dir: dir, Progress: io.Discard,
		Methods: []packet.Method{packet.Masq}, Conns: []int{conns}, Services: []int{3},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Filled) != 1 || r.Filled[0].PerConn() < 32 || r.Filled[0].PerConn6() < 64 || r.Filled[0].rest() <= 0 || r.Filled[0].List <= 0 {
		t.Errorf("%+v", r.Filled)
	}
	if len(r.Loaded) != 1 || r.Loaded[0].Seconds <= 0 {
		t.Errorf("%+v", r.Loaded)
	}
}

func TestMemoryIsHeldAgainstItsBarAtTheLargestTable(t *testing.T) {
	full := func(m packet.Method, conns int, bytes int64) Filled {
		return Filled{Method: m, Conns: conns, All: map[string]int64{conns4: bytes, ring: 2_000_000, conns6: 1 << 30, "others": 1 << 30}}
	}
	r := Result{Filled: []Filled{full(packet.Route, 100, 500_000), full(packet.Route, 1_000_000, 96_000_000), full(packet.Masq, 1_000_000, 96_000_000)}}
	for i, want := range []bool{false, true} {
		if f := r.Figures()[i]; f.Passed() != want || !f.Barred() {
			t.Errorf("%+v: want passed %t", f, want)
		}
	}
	if f := (Result{}).Figures()[0]; f.Passed() || !f.Missing {
		t.Errorf("nothing was measured: %+v", f)
	}
}

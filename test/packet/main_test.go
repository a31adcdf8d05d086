package packet

import (
	"fmt"
	"os"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// beds are the tests' own, one after the other.
var beds bed.Beds

func TestMain(m *testing.M) {
	code := m.Run()
	if err := beds.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

package tcp

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/room"
)

func TestMain(m *testing.M) {
	if Serve() {
		return
	}
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestX(t *testing.T) {
	_ = io.Discard
	rows, err := Suite{Rounds: 5, Round: time.Second, Progress: os.Stderr}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Table(rows) {
		fmt.Println(r)
	}
	for _, r := range Figures(rows) {
		fmt.Println(r)
	}
}

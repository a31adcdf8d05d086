package datapath

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// ReasonNames returns the names of enum reason in order, in lower case and
// without their prefix. They come from the type information of the data path,
// so that a reason is named in one place.
var ReasonNames = sync.OnceValues(func() ([]string, error) {
	spec, err := loadControl()
	if err != nil {
		return nil, fmt.Errorf("compiled data path: %w", err)
	}
	var reason *btf.Enum
	if err := spec.Types.TypeByName("reason", &reason); err != nil {
		return nil, fmt.Errorf("names of reasons: %w", err)
	}
	var names []string
	for _, v := range reason.Values {
		if name := strings.TrimPrefix(v.Name, "REASON_"); name != "COUNT" {
			names = append(names, strings.ToLower(name))
		}
	}
	return names, nil
})

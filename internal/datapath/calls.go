package datapath

import (
	"path/filepath"

	"github.com/cilium/ebpf"
)

// calls are the Call-IDs of templates.
type calls struct{ *ebpf.Map }

func openCalls(dir string) (calls, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, controlMapCallIds), nil)
	return calls{m}, err
}

// of returns the Call-ID that r is a template for, "" if it is none or has just gone.
func (c calls) of(r ConnRecord) string {
	if r.Proto&Template == 0 || r.Cport == 0 {
		return ""
	}
	key := controlCallKey{
		Client: uint64(r.Caddr) | uint64(r.Cport)<<32 | uint64(r.Vport)<<48,
		Vaddr:  r.Vaddr, Proto: r.Proto, Family: r.Family, Dst: r.Conn.Dst,
	}
	var id controlCallId
	if err := c.Lookup(key, &id); err != nil {
		return ""
	}
	return string(id.Text[:id.Len])
}

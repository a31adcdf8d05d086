package cli

import (
	"bytes"
	"fmt"
)

// Servers is how many real servers each service of Rules has.
const Servers = 9

// Rules writes a table of that many services with Servers real servers each, in
// documentation addresses, exactly as ipvsadm -S -n would: (1 + Servers) lines
// a service.
func Rules(services int) []byte {
	const vips = 200
	var b bytes.Buffer
	ports := (services + vips - 1) / vips
	for i := range services {
		vip := fmt.Sprintf("198.51.100.%d:%d", 1+i/ports, 1000+i%ports)
		fmt.Fprintf(&b, "-A -t %s -s wrr\n", vip)
		for server := 1; server <= Servers; server++ {
			fmt.Fprintf(&b, "-a -t %s -r 203.0.113.%d:80 -m -w %d\n", vip, server, server)
		}
	}
	return b.Bytes()
}

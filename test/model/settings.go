package model

import "time"

// defaults are the settings of net.ipv4.vs that the model knows.
func defaults() map[string]int {
	return map[string]int{
		"conn_reuse_mode":           1,
		"expire_nodest_conn":        0,
		"expire_quiescent_template": 0,
		"expire_udp_on_quiescent":   0,
		"lblc_expiration":           86400,
		"lblcr_expiration":          86400,
		"secure_tcp":                0,
		"sloppy_sctp":               0,
		"sloppy_tcp":                0,
	}
}

// on reports whether a setting is not 0.
func (t *Table) on(name string) bool { return t.Settings[name] != 0 }

// Set changes a setting.
func (t *Table) Set(name string, value int) {
	t.Settings[name] = value
	t.endOrphans()
}

// SetTimeouts changes those that can be: of established and of half-closed TCP, and
// of UDP. Connections take them with their next packet.
func (t *Table) SetTimeouts(tcp, fin, udp time.Duration) {
	t.Timeouts["ESTABLISHED"], t.Timeouts["FIN_WAIT"], t.Timeouts["UDP"] = tcp, fin, udp
}

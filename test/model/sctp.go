package model

import "time"

// sctp is an association as it is followed from between its ends.
var sctp = machine{
	states: []string{
		"NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED", "ESTABLISHED",
		"S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED", "CLOSED",
	},
	short:  []string{"NO", "I1", "IN", "CS", "CR", "CW", "CO", "CE", "ES", "SS", "SR", "SA", "RJ", "CL"},
	active: []string{"ESTABLISHED"},
	rows: map[string]map[string]string{
		request: {
			"DATA":              "ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
			"INIT":              "I1 IN IN CS CR CW CO CE ES SS SR SA IN IN",
			"INIT_ACK":          "CW CW CW CS CR CO CO CE ES SS SR SA RJ CL",
			"COOKIE_ECHO":       "CR IN IN CR CR CW CO CE ES SS SR SA RJ CL",
			"COOKIE_ACK":        "ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL",
			"SHUTDOWN":          "SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL",
			"SHUTDOWN_ACK":      "CL IN IN CS CR CW CO CE ES CL SR CL RJ CL",
			"SHUTDOWN_COMPLETE": "CL CL CL CS CR CW CO CE ES SS SR CL RJ CL",
			"ERROR":             "CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL",
			"ABORT":             "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
		},
		reply: {
			"DATA":              "ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
			"INIT":              "CW CW CW CW CW CW CW CW ES CW CW CW CW CW",
			"INIT_ACK":          "CS CS CS CS CR CW CO CE ES SS SR SA RJ CL",
			"COOKIE_ECHO":       "CE CE CE CE CE CE CE CE ES SS SR SA RJ CL",
			"COOKIE_ACK":        "ES ES ES ES ES ES ES ES ES SS SR SA RJ CL",
			"SHUTDOWN":          "SS SS SS SS SS SS SS SS SS SS SR SA RJ CL",
			"SHUTDOWN_ACK":      "SA SA SA SA SA CW CO CE ES SA SA SA RJ CL",
			"SHUTDOWN_COMPLETE": "CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
			"ERROR":             "CL CL CL CL CL CW CO CE ES SS SR SA RJ CL",
			"ABORT":             "CL RJ CL CL CL CL CL CL CL CL CL CL CL CL",
		},
		oneWay: {
			"DATA":              "ES I1 IN CS CR ES CO CE ES SS SR SA RJ CL",
			"INIT":              "I1 IN IN IN IN IN CO CE ES SS SR SA IN IN",
			"INIT_ACK":          "CE CE CE CE CE CE CO CE ES SS SR SA RJ CL",
			"COOKIE_ECHO":       "ES ES ES ES ES ES CO CE ES SS SR SA RJ CL",
			"COOKIE_ACK":        "ES I1 IN ES ES CW ES ES ES SS SR SA RJ CL",
			"SHUTDOWN":          "SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL",
			"SHUTDOWN_ACK":      "CL IN IN CS CR CW CO CE CL CL SR CL RJ CL",
			"SHUTDOWN_COMPLETE": "CL CL CL CL CL CW CO CE ES SS CL CL RJ CL",
			"ERROR":             "CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
			"ABORT":             "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
		},
	},
}

// In seconds.
var sctpTimeouts = map[string]time.Duration{
	"INIT1": 4, "INIT": 61, "C-SENT": 61, "C-REPLIED": 61, "C-WAIT": 61, "COOKIE": 61, "C-ECHOED": 61,
	"ESTABLISHED": 900, "S-SENT": 61, "S-RECEIVED": 61, "S-ACK-SENT": 61, "REJECTED": 4, "CLOSED": 61,
}

// sctpEvent is what a packet's first chunk says; those that say nothing are data.
func sctpEvent(chunk string) string {
	if _, ok := sctp.rows[request][chunk]; ok {
		return chunk
	}
	return "DATA"
}

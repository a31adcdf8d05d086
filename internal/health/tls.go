package health

import (
	"crypto/tls"
	"maps"
	"slices"
)

// tlsVersions are the names of the versions of TLS.
var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

func (t TLS) validate() (found []FieldError) {
	oneOf(&found, "tls.minVersion", t.MinVersion, slices.Sorted(maps.Keys(tlsVersions))...)
	if (t.Cert == "") != (t.Key == "") {
		found = append(found, FieldError{"tls.cert", "a certificate and its key go together", "write both tls.cert and tls.key"})
	}
	if t.CA != "" && t.Verify != nil && !*t.Verify {
		found = append(found, FieldError{"tls.ca", "is not looked at, as tls.verify is false", "leave one of them out"})
	}
	return found
}

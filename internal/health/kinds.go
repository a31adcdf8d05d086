package health

// A Kind is a kind of check.
type Kind struct {
	// Name is what a Spec calls it, About what it asks, in a line.
	Name, About string
	// Fields are the fields of a Spec, beside the common ones, that the kind
	// knows, by their names in the file.
	Fields []string
	// Needs are those among them that it cannot do without.
	Needs []string
	// Network says that the kind speaks to the server itself, so that address,
	// port, source and the like mean something.
	Network bool

	// validate finds what is wrong with the fields of this kind.
	validate func(Spec) []FieldError
	// probe makes what asks, of a valid spec with its defaults.
	probe func(Spec, Target) (probe, error)
}

var (
	requestFields = []string{"method", "path", "host", "headers", "status", "body", "notBody", "md5", "sha256", "requests", "version"}
	talkFields    = []string{"send", "sendHex", "expect", "expectHex"}
)

// Kinds are the kinds of checks there are.
var Kinds = []Kind{
	{Name: "tcp", About: "a connection is accepted, and what is said over it answered as expected",
		Fields: talkFields, Network: true, validate: validateTalk, probe: newTCP},
	{Name: "http", About: "a request is answered with the right status and body",
		Fields: with(requestFields, "fullMTU"), Network: true, validate: validateHTTP, probe: newHTTP},
	{Name: "https", About: "the same over TLS",
		Fields: with(requestFields, "fullMTU", "tls"), Network: true, validate: validateHTTP, probe: newHTTP},
	{Name: "dns", About: "a question is answered with the right code and records",
		Fields: []string{"name", "type", "transport", "rcodes", "answer"}, Network: true, validate: validateDNS, probe: newDNS},
	{Name: "udp", About: "a datagram is not refused, and answered as expected",
		Fields: with(talkFields, "reply", "minReply", "maxReply", "fullMTU"), Network: true, validate: validateTalk, probe: newUDP},
	{Name: "icmp", About: "an echo request is answered",
		Fields: []string{"fullMTU"}, Network: true, probe: newICMP},
	{Name: "tls", About: "a TLS handshake succeeds",
		Fields: []string{"tls"}, Network: true, probe: newTLS},
	{Name: "smtp", About: "a mail server greets and answers EHLO",
		Fields: []string{"helo", "tls"}, Network: true, validate: validateSMTP, probe: newSMTP},
	{Name: "grpc", About: "grpc.health.v1 says SERVING",
		Fields: []string{"service", "tls"}, Network: true, probe: newGRPC},
	{Name: "exec", About: "a program exits with the right code",
		Fields: []string{"command", "user", "exitCodes", "dynamic"}, Needs: []string{"command"}, validate: validateExec, probe: newExec},
	{Name: "file", About: "a file says up, or a weight",
		Fields: []string{"file", "factor", "reverse", "dynamic"}, Needs: []string{"file"}, validate: validateFile, probe: newFile},
}

// KindOf returns the kind of that name.
func KindOf(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

func with(fields []string, more ...string) []string {
	return append(append([]string(nil), fields...), more...)
}

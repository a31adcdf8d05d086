package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"syscall"
)

// Values are kernel settings by their sysctl(8) name. A dot within an interface
// name is written as a slash there, as sysctl wants it:
// net.ipv4.conf.eth0/100.forwarding.
type Values map[string]string

// The switches that turn a host into a router. Writing one changes the
// forwarding setting of every interface with it.
const (
	Forwarding4 = "net.ipv4.ip_forward"
	Forwarding6 = "net.ipv6.conf.all.forwarding"
)

// AcceptRedirects4 is set to the opposite of Forwarding4 by the kernel whenever
// that is written.
const AcceptRedirects4 = "net.ipv4.conf.all.accept_redirects"

// InterfaceKey is the name of a setting of one interface; family is "ipv4" or
// "ipv6", and iface may be "all" or "default".
func InterfaceKey(family, iface, setting string) string {
	return "net." + family + ".conf." + strings.ReplaceAll(iface, ".", "/") + "." + setting
}

// splitKey takes an InterfaceKey apart.
func splitKey(key string) (family, iface, setting string, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 5 || parts[0] != "net" || parts[2] != "conf" {
		return "", "", "", false
	}
	return parts[1], strings.ReplaceAll(parts[3], "/", "."), parts[4], true
}

// set does to v what the kernel does to its settings when key is written. Keys
// that v does not have stay absent: they are settings nobody looked at.
func (v Values) set(key, value string) {
	v[key] = value
	family := ""
	switch key {
	case Forwarding4:
		family = "ipv4"
		if _, ok := v[AcceptRedirects4]; ok {
			v[AcceptRedirects4] = "1"
			if value != "0" {
				v[AcceptRedirects4] = "0"
			}
		}
	case Forwarding6:
		family = "ipv6"
	default:
		return
	}
	for k := range v {
		if f, iface, setting, ok := splitKey(k); ok && f == family && setting == "forwarding" && iface != "all" {
			v[k] = value
		}
	}
}

func (v Values) clone() Values { return maps.Clone(v) }

// sysctlPath is the file behind a setting: sysctl swaps dots and slashes.
func sysctlPath(key string) string {
	swapped := strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
	return "/proc/sys/" + swapped
}

// readSysctl returns the value of a setting, false if the kernel has none of
// that name.
func readSysctl(key string) (string, bool, error) {
	b, err := os.ReadFile(sysctlPath(key))
	if absent(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", key, err)
	}
	return strings.TrimSpace(string(b)), true, nil
}

// writeSysctl writes through a file opened without O_CREATE: a setting that is
// absent is an error, never a new file.
func writeSysctl(key, value string) error {
	f, err := os.OpenFile(sysctlPath(key), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

// absent tells whether a setting is not there; one whose interface vanishes
// while its file is open answers ENODEV or ENOENT.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// explainWrite names the setting and the way out of a failed write.
func explainWrite(key, value string, err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("cannot set %s=%s: /proc/sys is mounted read-only here; run this outside the container, or let its runtime set it (docker run --sysctl %s=%s)", key, value, key, value)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot set %s=%s: permission denied; run as root with CAP_NET_ADMIN in this network namespace", key, value)
	}
	return fmt.Errorf("cannot set %s=%s: %w; see what it is now with `sysctl %s`", key, value, err, key)
}

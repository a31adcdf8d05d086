package hostnet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetGRO turns generic receive offload of an interface on or off, as
// `ethtool -K IFACE gro on` does. A veth end without it drops, silently, what
// an XDP program redirects to its peer.
func SetGRO(iface string, on bool) error {
	return setFeature(iface, "gro", unix.ETHTOOL_SGRO, on)
}

// SetTxChecksum turns the completing of checksums by an interface on or off, as
// `ethtool -K IFACE tx on` does. Without it the kernel completes them before it
// hands a packet over, and cuts segments to size, so that an XDP program at the
// other end of a veth sees what a wire would carry.
func SetTxChecksum(iface string, on bool) error {
	return setFeature(iface, "tx checksum", unix.ETHTOOL_STXCSUM, on)
}

func setFeature(iface, feature string, command uint32, on bool) error {
	if len(iface) >= unix.IFNAMSIZ {
		return fmt.Errorf("interface %s: the name is longer than %d", iface, unix.IFNAMSIZ-1)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket to configure %s: %w", iface, err)
	}
	defer unix.Close(fd)
	// struct ethtool_value
	value := struct{ command, data uint32 }{command: command}
	if on {
		value.data = 1
	}
	// struct ifreq
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], iface)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("%s of %s: %w", feature, iface, errno)
	}
	return nil
}

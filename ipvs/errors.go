package ipvs

import "errors"

// The errors callers branch on. They correspond to what the kernel's IPVS
// answers; a method wraps them with the service or destination concerned.
var (
	ErrServiceExists     = errors.New("service already exists")
	ErrNoService         = errors.New("no such service")
	ErrDestinationExists = errors.New("destination already exists")
	ErrNoDestination     = errors.New("no such destination")
	ErrNoScheduler       = errors.New("scheduler or persistence engine not found")
	ErrInvalid           = errors.New("invalid value")
	ErrRange             = errors.New("value out of range")
	ErrPermission        = errors.New("permission denied: run as root")
	ErrDaemonRunning     = errors.New("daemon already running")
	ErrNoDaemon          = errors.New("no daemon is running")
	ErrMarkExists        = errors.New("a rule that matches the same packets exists")
	ErrNoMark            = errors.New("no such rule of marks")
	ErrNoSysctl          = errors.New("no such setting")
	ErrNoDevice          = errors.New("no such network interface")
	ErrNoSpace           = errors.New("table full")
	ErrBusy              = errors.New("table is being changed by another process")
	ErrNoTable           = errors.New("no table in this network namespace: the first `ipvsadm -A` or `evs attach` makes it")
	ErrLayout            = errors.New("the table has another layout than this program's: `evs upgrade` brings it to this one")
	ErrUnsupported       = errors.New("not supported by this kernel")
)

package ipvsadm

import (
	"errors"
	"fmt"

	"github.com/evs-project/evs/ipvs"
)

// failureTexts is what the command prints when the table refuses, where the
// command decides what an error means.
var failureTexts = map[Command]map[error]string{
	AddService:    {ipvs.ErrServiceExists: "Service already exists"},
	EditService:   {ipvs.ErrNoService: "No such service"},
	DeleteService: {ipvs.ErrNoService: "No such service"},
	Zero:          {ipvs.ErrNoService: "No such service"},
	List:          {ipvs.ErrNoService: "No such service"},
	AddServer: {
		ipvs.ErrNoService:         "Service not defined",
		ipvs.ErrDestinationExists: "Destination already exists",
	},
	EditServer: {
		ipvs.ErrNoService:     "Service not defined",
		ipvs.ErrNoDestination: "No such destination",
	},
	DeleteServer: {
		ipvs.ErrNoService:     "Service not defined",
		ipvs.ErrNoDestination: "No such destination",
	},
	StartDaemon: {ipvs.ErrDaemonRunning: "Daemon has already run"},
	StopDaemon:  {ipvs.ErrNoDaemon: "No daemon is running"},
}

// commonTexts is what errors mean to every command.
var commonTexts = map[error]string{
	ipvs.ErrNoScheduler: "Scheduler or persistence engine not found",
	ipvs.ErrInvalid:     "Invalid operation.  Possibly wrong module version, address not unicast, ...",
	ipvs.ErrRange:       "Numerical result out of range",
	ipvs.ErrNoDevice:    "No such device",
	ipvs.ErrPermission:  permissionDenied,
}

const permissionDenied = "Permission denied (you must be root)"

// failureText is the text for an error that command met. What the real command
// never meets is said in our own words.
func failureText(command Command, err error) string {
	for _, texts := range []map[error]string{failureTexts[command], commonTexts} {
		for sentinel, text := range texts {
			if errors.Is(err, sentinel) {
				return text
			}
		}
	}
	return fmt.Sprintf("ipvsadm: %v", err)
}

// failureExit is the exit code of a command that the table refused.
func failureExit(command Command) int {
	if command == List {
		return exitListing
	}
	return exitFailure
}

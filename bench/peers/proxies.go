package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// streamModule is where Debian has the module that makes nginx a proxy of TCP.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// Haproxy hands bytes on between two connections, with so many threads.
func Haproxy(threads int) func(context.Context, Service) (Stop, error) {
	return func(ctx context.Context, s Service) (Stop, error) {
		return proxy(ctx, s, haproxyConfig(s, threads), "haproxy", "-q", "-db", "-f")
	}
}

func haproxyConfig(s Service, threads int) string {
	return fmt.Sprintf(`global
	nbthread %d
	maxconn 4000
defaults
	mode tcp
	timeout connect 5s
	timeout client 5s
	timeout server 5s
listen bench
	bind %s backlog 4096
	server one %s
`, threads, s.VIP, s.Server)
}

// Nginx is its stream module, with so many workers.
func Nginx(workers int) func(context.Context, Service) (Stop, error) {
	return func(ctx context.Context, s Service) (Stop, error) {
		return proxy(ctx, s, nginxConfig(s, workers), "nginx", "-e", "stderr", "-c")
	}
}

func nginxConfig(s Service, workers int) string {
	return fmt.Sprintf(`load_module %s;
daemon off;
worker_processes %d;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4000; }
stream {
	server {
		listen %s backlog=4096 reuseport;
		proxy_pass %s;
		proxy_timeout 5s;
	}
}
`, streamModule, workers, s.VIP, s.Server)
}

// patience is how long a proxy may take to listen, and to end.
const patience = 10 * time.Second

// proxy starts a program with a file of its own configuration, and waits until it
// listens.
func proxy(ctx context.Context, s Service, config, program string, args ...string) (Stop, error) {
	dir, err := os.MkdirTemp("", "evs-bench-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, program+".conf")
	if program == "nginx" { // its files lie in its prefix
		args = append([]string{"-p", dir}, args...)
	}
	cmd := exec.CommandContext(ctx, program, append(args, file)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = patience
	err = os.WriteFile(file, []byte(config), 0o644)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w: scripts/deps.sh bench installs it", program, err), os.RemoveAll(dir))
	}
	stop := func() error {
		_ = cmd.Cancel() // it may have ended
		_ = cmd.Wait()   // by a signal, as asked
		return os.RemoveAll(dir)
	}
	if err := listening(ctx, s); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not listen on %s: %w", program, s.VIP, err), stop())
	}
	return stop, nil
}

// listening waits until somebody takes connections at the VIP.
func listening(ctx context.Context, s Service) error {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", s.VIP.String(), time.Second)
		if err == nil {
			return c.Close()
		}
		last = err
	}
	return errors.Join(last, ctx.Err())
}

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startServer starts a real server in its node, detached from this process's
// session so that a Ctrl-C meant for a command does not reach it.
func (l *Lab) startServer(node string) error {
	log, err := os.Create(filepath.Join(l.dir(), node+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(l.Binary, "lab", "serve", node)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.Do(node, cmd.Start); err != nil {
		return fmt.Errorf("%s: start %s: %w", node, l.Binary, err)
	}
	l.servers.Go(func() {
		// It is ended by a signal, which is no news.
		_ = cmd.Wait()
	})
	pid := []byte(strconv.Itoa(cmd.Process.Pid) + "\n")
	return os.WriteFile(filepath.Join(l.dir(), node+".pid"), pid, 0o644)
}

// awaitServers returns when every real server answers at every address.
func (l *Lab) awaitServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for i, node := range l.Serving() {
		for _, f := range l.FamilyList() {
			at := ServerAddr(i+1, f)
			if node == Director {
				at = VIP(f)
			}
			if err := l.awaitServer(ctx, node, netip.AddrPortFrom(at, HTTPPort)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) awaitServer(ctx context.Context, node string, at netip.AddrPort) error {
	client := &http.Client{Transport: &http.Transport{DialContext: l.Dial(node), DisableKeepAlives: true}}
	for {
		who, err := ask(ctx, client, "http://"+at.String()+"/")
		if err == nil && who == node {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%q answers there", who)
		}
		// Someone has to be listening within a moment or two.
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(l.dir(), node+".log"))
			return fmt.Errorf("%s does not serve at %s: %w: %s", node, at, err, bytes.TrimSpace(log))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ask returns the name of the server that answers a GET.
func ask(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	reply, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, reply.Body); err != nil {
		return "", err
	}
	if reply.StatusCode != http.StatusOK {
		return "", errors.New(reply.Status)
	}
	return reply.Header.Get(serverHeader), nil
}

// Dial returns a function that connects from a node. The address must be a
// literal: a lab has no name server.
func (l *Lab) Dial(node string) DialFunc {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, fmt.Errorf("address %q: want ADDRESS:PORT in numbers, since a lab has no name server", address)
		}
		err = l.Do(node, func() error {
			// With a literal, the socket is made on this thread.
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// DialFunc connects to an address, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// ServerPID is the process of a real server, 0 if it has ended.
func (l *Lab) ServerPID(node string) int {
	b, err := os.ReadFile(filepath.Join(l.dir(), node+".pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	home, err1 := identify(filepath.Join(netnsDir, l.Namespace(node)))
	id, err2 := identify(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err1 != nil || err2 != nil || home != id {
		return 0
	}
	return pid
}

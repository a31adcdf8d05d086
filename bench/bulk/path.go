package bulk

import (
	"errors"
	"net"
	"time"

	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/room"
)

// path is a client, a director and a server.
type path struct{ *peers.Path }

// carry sends over one connection for a while, up to the server or down from it,
// and returns Gbit/s as the receiver saw them.
func (p path) carry(up bool, long time.Duration) (rate float64, err error) {
	client, server, err := p.connect()
	if err != nil {
		return 0, err
	}
	from, to := client, server
	if !up {
		from, to = server, client
	}
	sending := make(chan error, 1)
	go func() { sending <- room.Anywhere(func() error { return send(from, long) }) }()
	err = room.Anywhere(func() (err error) {
		rate, err = receive(to)
		return err
	})
	return rate, errors.Join(err, <-sending)
}

// connect opens a connection through the director and returns both its ends.
func (p path) connect() (client, at *net.TCPConn, err error) {
	var l net.Listener
	if err := p.Server.Do(func() (err error) {
		l, err = net.Listen("tcp", server.String())
		return err
	}); err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = p.Client.Do(func() error {
		c, err := net.DialTimeout("tcp", vip.String(), patience)
		if err == nil {
			client = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, c.(*net.TCPConn), nil
}

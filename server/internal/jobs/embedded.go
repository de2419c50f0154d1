package jobs

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Embedded is a NATS server in this process, which listens on the loopback interface alone.
type Embedded struct{ s *server.Server }

// payload bounds a message of it: what is to be proved, the inputs of a model of pictures say.
const payload = 8 << 20

// Embed starts a server that keeps its files below a folder. Whoever connects has to know the secret.
func Embed(dir, secret string) (*Embedded, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "zkllmc", Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: secret,
		JetStream: true, StoreDir: filepath.Join(dir, "nats"), SyncAlways: true,
		MaxPayload: payload, NoSigs: true, NoLog: true, DisableShortFirstPing: true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, errors.New("embedded NATS server: it does not start")
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS server: it cannot keep files below %s", dir)
	}
	return &Embedded{s}, nil
}

// URL is where workers of this machine reach it.
func (e *Embedded) URL() string { return e.s.ClientURL() }

// Close ends the server, when everything is on the disk.
func (e *Embedded) Close() {
	e.s.Shutdown()
	e.s.WaitForShutdown()
}

// Connect connects to a server, and goes on trying where that goes away. secret may be empty; credentials is a file of NATS, or empty.
func Connect(url, secret, credentials, name string) (*nats.Conn, error) {
	options := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.Timeout(10 * time.Second)}
	if secret != "" {
		options = append(options, nats.Token(secret))
	}
	if credentials != "" {
		options = append(options, nats.UserCredentials(credentials))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %w", err)
	}
	return nc, nil
}

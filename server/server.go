// Package server answers with models and proves what it answered. Serve is the provider's server, Work one of the processes that make the
// proofs: they take jobs from the server's queue, on this machine or on others, and hold the models' keys themselves.
package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/server/internal/api"
	"github.com/zkllmc/zkllmc/server/internal/hosted"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// Queue says where jobs are.
type Queue struct {
	URL         string // of a NATS server
	Secret      string // its token, or ""
	Credentials string // a file of NATS, or ""
	Prefix      string // of the names of what is stored; zkllmc
}

func (q *Queue) connect(name string) (*nats.Conn, error) {
	nc, err := jobs.Connect(q.URL, q.Secret, q.Credentials, name)
	if err != nil {
		at := "URL"
		if u, wrong := url.Parse(q.URL); wrong == nil {
			at = u.Redacted()
		}
		return nil, fmt.Errorf("--nats %s: %w", at, err)
	}
	return nc, nil
}

// Policy says how jobs are kept.
type Policy struct {
	Limit    int           // proofs that wait or are made
	Keep     time.Duration // how long a proof is kept
	Patience time.Duration // how long a worker may not be heard of
	Replicas int           // of what is stored, in a cluster
}

// Options say what a server does.
type Options struct {
	Models    []string // [NAME=]DIR[,KEYS]
	Listen    string   // address and port
	Data      string   // folder for the queue of the embedded NATS server, where Queue has no URL
	Queue     Queue
	Policy    Policy
	Tokens    string        // file of the tokens of who may ask; "": everybody
	Open      bool          // everybody, from any machine
	Cert, Key string        // files for TLS; "": HTTP
	Workers   int           // processes that make proofs, beside those of other machines
	Start     Start         // how they are started
	Keys      sealed.Opener // opens the models' prover keys where they are encrypted
	Body      int64
	Requests  int
	Answers   int
	Slow      time.Duration // how long an answer may take
	Drain     time.Duration // how long requests are still accepted when the server is to end, and readyz says no
	Grace     time.Duration // how long those may go on that have come then
	Prompts   bool          // log prompts and answers
	Page      string        // folder of files for everybody, below /page/: that of 'make page', and bundles say; "": none
	Log       *slog.Logger
	Ready     func(url string) // is told when requests can come; may be nil
}

// ErrUsage says that options do not go together.
var ErrUsage = errors.New("options")

// Serve serves until the context ends, and then ends what it has begun.
func Serve(ctx context.Context, o Options) error {
	access, err := o.access()
	if err != nil {
		return err
	}
	certificate, err := o.certificate()
	if err != nil {
		return err
	}
	models, err := openModels(ctx, o.Models, &o.Keys)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	page, closePage, err := o.page()
	if err != nil {
		return err
	}
	defer closePage()
	store, closeStore, err := o.store(ctx, models)
	if err != nil {
		return err
	}
	defer closeStore()
	h := api.New(api.Options{Models: models, Store: store, Access: access, Local: o.local(), Limit: o.Policy.Limit, Body: o.Body, Requests: o.Requests, Answers: o.Answers,
		Slow: o.Slow, Prompts: o.Prompts, Page: page, Log: o.Log})
	defer o.background(ctx, store, h)()
	return o.listen(ctx, h, listener, certificate)
}

// store connects to the queue, of which an embedded NATS server takes care where no other is named, and promises proofs of the models.
func (o *Options) store(ctx context.Context, models []*hosted.Model) (_ *jobs.Store, end func(), err error) {
	var ends []func()
	all := func() {
		for _, f := range slices.Backward(ends) {
			f()
		}
	}
	defer func() {
		if err != nil {
			all()
		}
	}()
	if o.Queue.URL == "" {
		stop, err := o.embed()
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, stop)
	}
	nc, err := o.Queue.connect("zkllmc serve")
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, nc.Close)
	store, err := jobs.Open(ctx, nc, jobs.Options{Prefix: o.Queue.Prefix, Limit: o.Policy.Limit, Keep: o.Policy.Keep, Patience: o.Policy.Patience, Replicas: o.Policy.Replicas, Log: o.Log})
	if err == nil {
		err = store.Promise(ctx, models)
	}
	return store, all, err
}

// page opens the folder of files for everybody; no link leads out of it.
func (o *Options) page() (files fs.FS, end func(), err error) {
	if o.Page == "" {
		return nil, func() {}, nil
	}
	root, err := os.OpenRoot(o.Page)
	if err != nil {
		return nil, nil, fmt.Errorf("--page: %w", err)
	}
	return root.FS(), func() { root.Close() }, nil
}

// background counts proofs until the end, and keeps workers until the context ends: a job is handed back as soon as the server is to end.
func (o *Options) background(ctx context.Context, store *jobs.Store, h *api.Handler) (end func()) {
	var all sync.WaitGroup
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() {
		if err := store.Watch(inner, h.Changed); inner.Err() == nil {
			o.Log.Warn("proofs are no longer counted", "error", err)
		}
	})
	for n := range o.Workers {
		all.Go(func() { o.keep(ctx, n) })
	}
	return func() {
		stop()
		all.Wait()
	}
}

// access reads the tokens. Without any only this machine may ask, unless it is said that everybody may.
func (o *Options) access() (*api.Access, error) {
	if o.Tokens == "" {
		host, _, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("%w: --listen %s: want ADDRESS:PORT", ErrUsage, o.Listen)
		}
		if ip := net.ParseIP(host); !o.Open && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("%w: --listen %s can be reached from other machines: --tokens says who may ask, --open that everybody may", ErrUsage, o.Listen)
		}
		return nil, nil
	}
	file, err := atomicfile.Read(o.Tokens, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("--tokens: %w", err)
	}
	a, err := api.ParseAccess(file)
	if err != nil {
		return nil, fmt.Errorf("--tokens %s: %w", o.Tokens, err)
	}
	return a, nil
}

// local is the host that is listened on, where only this machine may ask.
func (o *Options) local() string {
	if o.Tokens != "" || o.Open {
		return ""
	}
	host, _, _ := net.SplitHostPort(o.Listen) // access has read it
	return host
}

func (o *Options) certificate() (*tls.Config, error) {
	switch {
	case o.Cert == "" && o.Key == "":
		return nil, nil
	case o.Cert == "" || o.Key == "":
		return nil, fmt.Errorf("%w: --tls-cert and --tls-key go together", ErrUsage)
	}
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// openModels reads models, of different names.
func openModels(ctx context.Context, places []string, by *sealed.Opener) ([]*hosted.Model, error) {
	var out []*hosted.Model
	names, ids := map[string]bool{}, map[string]bool{}
	for _, text := range places {
		p, err := hosted.ParsePlace(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUsage, err)
		}
		m, err := hosted.Open(ctx, p, by)
		switch {
		case err != nil:
			return nil, err
		case names[m.Name]:
			return nil, fmt.Errorf("%w: two models are called %s; --model NAME=DIR gives one another name", ErrUsage, m.Name)
		case ids[m.ID]:
			return nil, fmt.Errorf("%w: %s is there twice", ErrUsage, m.ID)
		}
		names[m.Name], ids[m.ID] = true, true
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: --model is missing", ErrUsage)
	}
	return out, nil
}

// embed starts the NATS server of this process.
func (o *Options) embed() (end func(), err error) {
	if o.Data == "" {
		return nil, fmt.Errorf("%w: --data FOLDER or --nats URL says where jobs are kept", ErrUsage)
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, err
	}
	lock, err := atomicfile.Lock(filepath.Join(o.Data, "lock"))
	if err != nil {
		return nil, err
	}
	o.Queue.Secret = rand.Text()
	e, err := jobs.Embed(o.Data, o.Queue.Secret)
	if err != nil {
		lock.Close()
		return nil, err
	}
	o.Queue.URL = e.URL()
	return func() {
		e.Close()
		lock.Close()
	}, nil
}

// The limits of connections. How long answers take is the handler's matter.
const (
	longestHeader = 10 * time.Second
	longestBody   = 30 * time.Second
	longestIdle   = 2 * time.Minute
	mostHeader    = 64 << 10
	connections   = 1024
)

// listen answers requests until the context ends, and those that came before then for a while.
func (o *Options) listen(ctx context.Context, h *api.Handler, l net.Listener, certificate *tls.Config) error {
	s := &http.Server{Handler: h, TLSConfig: certificate, ReadHeaderTimeout: longestHeader, ReadTimeout: longestBody, IdleTimeout: longestIdle, MaxHeaderBytes: mostHeader,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	l, scheme := limited(l, connections), "http"
	if certificate != nil {
		scheme = "https"
	}
	failed := make(chan error, 1)
	go func() {
		if certificate != nil {
			failed <- s.ServeTLS(l, "", "")
		} else {
			failed <- s.Serve(l)
		}
	}()
	url := scheme + "://" + l.Addr().String()
	o.Log.Info("serving", "url", url, "models", len(o.Models), "workers", o.Workers)
	if o.Ready != nil {
		o.Ready(url)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	o.Log.Info("ending", "drain", o.Drain.String(), "grace", o.Grace.String())
	h.Close()
	select { // who shares requests out looks at readyz from time to time, and should not find a closed door first
	case err := <-failed:
		return err
	case <-time.After(o.Drain):
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Grace)
	defer cancel()
	if err := s.Shutdown(last); err != nil {
		return s.Close()
	}
	return nil
}

// limited accepts so many connections at a time.
func limited(l net.Listener, most int) net.Listener {
	return &limit{Listener: l, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

type limit struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: c, end: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type counted struct {
	net.Conn
	end func()
}

func (c *counted) Close() error {
	defer c.end()
	return c.Conn.Close()
}

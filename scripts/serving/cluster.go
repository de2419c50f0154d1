package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// cluster runs three NATS servers that keep everything three times, of which one ends in the middle of proofs: every job that was promised is made,
// and exactly one proof of each is kept.
func cluster(dir string) error {
	nodes, err := nodes(filepath.Join(dir, "cluster"))
	if err != nil {
		return err
	}
	defer func() {
		for _, n := range nodes {
			n.Shutdown()
		}
	}()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.ClientURL())
	}
	all := strings.Join(urls, ",")
	return withServer(dir, append(tokens(dir), "--nats", all, "--replicas", "3", "--workers", "2"), func(s *server) error {
		t := &tally{statuses: map[int]int{}}
		for i := range 12 {
			t.one(s, i)
			if i == 5 {
				for len(s.find(`msg=(proving)`)) == 0 {
					time.Sleep(time.Millisecond)
				}
				nodes[0].Shutdown() // which server and workers have connected to first
			}
		}
		if len(t.errors) > 0 {
			return fmt.Errorf("%d errors, such as %s", len(t.errors), t.errors[0])
		}
		if err := settle(dir, s, t.ids, 1); err != nil {
			return err
		}
		return kept(all, t.ids)
	})
}

// nodes starts three servers that know each other.
func nodes(dir string) (out []*natsserver.Server, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	const first = 17422
	var routes []*url.URL
	for i := range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", first+i)})
	}
	for i := range 3 {
		name := fmt.Sprintf("node%d", i)
		n, err := natsserver.NewServer(&natsserver.Options{ServerName: name, Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, name),
			Cluster: natsserver.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: first + i}, Routes: routes, NoSigs: true, NoLog: true})
		if err != nil {
			return nil, err
		}
		go n.Start()
		out = append(out, n)
	}
	for _, n := range out {
		if !n.ReadyForConnections(30 * time.Second) {
			return nil, errors.New("a NATS server does not start")
		}
	}
	for range 300 {
		for _, n := range out {
			if n.JetStreamIsLeader() {
				return out, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.New("the NATS servers choose no leader")
}

// kept sees that the cluster has one result of each proof, and no other.
func kept(urls string, ids []string) error {
	nc, err := nats.Connect(urls)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	var objects []string
	for name := range js.ObjectStoreNames(ctx).Name() {
		store, err := js.ObjectStore(ctx, strings.TrimPrefix(name, "OBJ_"))
		if err != nil {
			return err
		}
		list, err := store.List(ctx)
		if err != nil {
			return err
		}
		for _, o := range list {
			id, _, _ := strings.Cut(o.Name, ".")
			objects = append(objects, id)
		}
	}
	seen := map[string]bool{}
	for _, id := range objects {
		if seen[id] {
			return fmt.Errorf("%s has two results", id)
		}
		seen[id] = true
	}
	for _, id := range ids {
		if !seen[id] {
			return fmt.Errorf("%s has no result", id)
		}
	}
	if len(objects) != len(ids) {
		return fmt.Errorf("%d results of %d proofs", len(objects), len(ids))
	}
	fmt.Printf("one of three NATS servers ended while proofs were made: all %d that were promised are there, one of each, and accepted\n", len(ids))
	return nil
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// An image runs zkllmc as somebody who is not root, holds two programs and a folder that he may write in, and nothing else; its layout has each blob
// under its digest, for both platforms. The bytes do not depend on the clock. It is read here as the OCI's specifications say, by no code that wrote it.
func TestImages(t *testing.T) {
	when := time.Unix(1_700_000_000, 0).UTC()
	var args []string
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		dir := t.TempDir()
		for _, name := range []string{"zkllmc", "zkllmc-verifier"} {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(name+" for "+platform), 0o600))
		}
		args = append(args, platform+"="+dir)
	}
	first, second := t.TempDir(), t.TempDir()
	must(t, errors.Join(run("v0.9.0", "0123abcd", first, when, args), run("v0.9.0", "0123abcd", second, when, args)))
	written, err := os.ReadDir(first)
	must(t, err)
	var names []string
	for _, e := range written {
		names = append(names, e.Name())
		equal(t, e.Name(), read(t, filepath.Join(second, e.Name())), read(t, filepath.Join(first, e.Name())))
	}
	equal(t, "files", names, []string{"zkllmc_v0.9.0_image_linux_amd64.tar", "zkllmc_v0.9.0_image_linux_arm64.tar", "zkllmc_v0.9.0_image_oci.tar"})

	layout := untar(t, read(t, filepath.Join(first, "zkllmc_v0.9.0_image_oci.tar")))
	equal(t, "oci-layout", decode[map[string]string](t, layout["oci-layout"].data), map[string]string{"imageLayoutVersion": "1.0.0"})
	index := decode[index](t, layout["index.json"].data)
	equal(t, "kind of index", index.MediaType, "application/vnd.oci.image.index.v1+json")
	equal(t, "images", len(index.Manifests), 2)
	blobs := 0
	for i, platform := range []string{"amd64", "arm64"} {
		d := index.Manifests[i]
		equal(t, "platform", d.Platform, map[string]string{"os": "linux", "architecture": platform})
		m := decode[manifest](t, blob(t, layout, d, "application/vnd.oci.image.manifest.v1+json"))
		equal(t, "layers", len(m.Layers), 1)
		c := decode[config](t, blob(t, layout, m.Config, "application/vnd.oci.image.config.v1+json"))
		layer := blob(t, layout, m.Layers[0], "application/vnd.oci.image.layer.v1.tar+gzip")
		blobs += 3
		checkImage(t, c, layer, platform, when)
	}
	equal(t, "files of the layout", len(layout), blobs+2)
}

type entry struct {
	tar.Header
	data []byte
}

type descriptor struct {
	MediaType, Digest string
	Size              int
	Platform          map[string]string
}

type index struct {
	MediaType string
	Manifests []descriptor
}

type manifest struct {
	MediaType string
	Config    descriptor
	Layers    []descriptor
}

type config struct {
	OS, Architecture string
	Created          time.Time
	Config           struct {
		User, WorkingDir string
		Entrypoint, Cmd  []string
		Labels           map[string]string
	}
	RootFS struct {
		Type    string
		DiffIDs []string `json:"diff_ids"`
	}
}

// checkImage looks at what a container runs and at what is in it.
func checkImage(t *testing.T, c config, layer []byte, platform string, when time.Time) {
	equal(t, "system", c.OS+"/"+c.Architecture, "linux/"+platform)
	equal(t, "time", c.Created.UTC(), when)
	equal(t, "user", c.Config.User, "65532:65532")
	equal(t, "command", append(c.Config.Entrypoint, c.Config.Cmd...), []string{"/zkllmc"})
	equal(t, "folder", c.Config.WorkingDir, "/data")
	equal(t, "commit", c.Config.Labels["org.opencontainers.image.revision"], "0123abcd")
	z, err := gzip.NewReader(bytes.NewReader(layer))
	must(t, err)
	plain, err := io.ReadAll(z)
	must(t, err)
	equal(t, "digest of the files", c.RootFS.DiffIDs, []string{fmt.Sprintf("sha256:%x", sha256.Sum256(plain))})
	files := untar(t, plain)
	equal(t, "number of files", len(files), 3)
	for _, name := range []string{"zkllmc", "zkllmc-verifier"} {
		f := files[name]
		equal(t, name, string(f.data), name+" for linux/"+platform)
		equal(t, "mode and owner", []int64{f.Mode, int64(f.Uid)}, []int64{0o755, 0})
		equal(t, "time of "+name, f.ModTime.UTC(), when)
	}
	data := files["data/"]
	equal(t, "kind, mode and owner of the folder", []int64{int64(data.Typeflag), data.Mode, int64(data.Uid), int64(data.Gid)}, []int64{tar.TypeDir, 0o755, 65532, 65532})
}

// blob returns what a descriptor names, of a kind.
func blob(t *testing.T, layout map[string]entry, d descriptor, kind string) []byte {
	t.Helper()
	equal(t, "kind", d.MediaType, kind)
	algorithm, digest, _ := strings.Cut(d.Digest, ":")
	data := layout["blobs/"+algorithm+"/"+digest].data
	equal(t, "digest", d.Digest, fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
	equal(t, "size", len(data), d.Size)
	return data
}

func untar(t *testing.T, data []byte) map[string]entry {
	t.Helper()
	out := map[string]entry{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		if _, twice := out[h.Name]; twice {
			t.Fatalf("%s is there twice", h.Name)
		}
		out[h.Name] = entry{*h, content}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return data
}

func decode[T any](t *testing.T, data []byte) (out T) {
	t.Helper()
	must(t, json.Unmarshal(data, &out))
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

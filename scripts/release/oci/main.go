// Command oci writes images for containers, from programs that are linked without a C library, and from nothing else: an archive for each
// platform that docker load and podman load take, and an OCI layout with all platforms, as one archive, for skopeo and registries.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is nobody in particular, and not root.
const user = "65532:65532"

func main() {
	version := flag.String("name", "", "tag of the image")
	commit := flag.String("commit", "", "commit that the programs are of")
	epoch := flag.Int64("epoch", 0, "seconds since 1970 of the commit")
	out := flag.String("o", "", "folder to write")
	flag.Parse()
	if err := run(*version, *commit, *out, time.Unix(*epoch, 0).UTC(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
}

func run(version, commit, out string, when time.Time, platforms []string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		platform, dir, _ := strings.Cut(p, "=")
		parsed, err := v1.ParsePlatform(platform)
		if err != nil {
			return err
		}
		img, err := image(dir, version, commit, when, parsed)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		tag, err := name.NewTag("zkllmc:" + strings.ReplaceAll(version, "+", "-"))
		if err != nil {
			return err
		}
		file := filepath.Join(out, fmt.Sprintf("zkllmc_%s_image_%s.tar", version, strings.ReplaceAll(platform, "/", "_")))
		if err := tarball.WriteToFile(file, tag, img); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: parsed}})
	}
	work, err := os.MkdirTemp("", "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if _, err := layout.Write(work, index); err != nil {
		return err
	}
	var all bytes.Buffer
	if err := archive(&all, work, when); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, fmt.Sprintf("zkllmc_%s_image_oci.tar", version)), all.Bytes(), 0o644)
}

// image holds the programs of a folder, and a folder for what they keep that its user may write in.
func image(dir, version, commit string, when time.Time, platform *v1.Platform) (v1.Image, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	header := func(name string, mode int64, kind byte, size int, owner int) error {
		return w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: int64(size), Uid: owner, Gid: owner, ModTime: when, Format: tar.FormatUSTAR})
	}
	for _, p := range []string{"zkllmc", "zkllmc-verifier"} {
		data, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil {
			return nil, err
		}
		if err := header(p, 0o755, tar.TypeReg, len(data), 0); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := header("data/", 0o755, tar.TypeDir, 0, 65532); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: when}, CreatedBy: "zkllmc " + commit}}); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, configured(img, version, commit, when, platform))
}

// configured is what a container runs, and as whom.
func configured(img v1.Image, version, commit string, when time.Time, platform *v1.Platform) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		panic(err) // it was made here
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Variant, c.Created = platform.OS, platform.Architecture, platform.Variant, v1.Time{Time: when}
	c.Config = v1.Config{
		User: user, WorkingDir: "/data", Entrypoint: []string{"/zkllmc"}, Env: []string{"PATH=/", "HOME=/data", "ZKLLMC_CACHE=/data/generators"},
		Labels: map[string]string{"org.opencontainers.image.version": version, "org.opencontainers.image.revision": commit, "org.opencontainers.image.title": "zkllmc"},
	}
	return c
}

// archive writes a folder as a tar file, in the order of its names.
func archive(to io.Writer, dir string, when time.Time) error {
	w := tar.NewWriter(to)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(data)), ModTime: when, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}

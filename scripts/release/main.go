// Command release builds what is published of a version, into a folder: archives of the programs for all platforms, with manual pages and
// completions; a list of what each program is made of (SBOM); images for containers; and checksums. Of one commit it makes the same bytes wherever and
// whenever it runs, which check.go shows.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"

	"github.com/zkllmc/zkllmc/internal/console"
)

// sbom is the tool that lists what programs are made of.
const sbom = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// all are the platforms that are published, and images those that containers run on.
var (
	all    = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}
	images = []string{"linux/amd64", "linux/arm64"}
)

// programs are the programs that are published, by the package of each.
var programs = []struct{ name, pkg string }{{"zkllmc", "."}, {"zkllmc-verifier", "./cmd/zkllmc-verifier"}}

func main() {
	var r release
	out := flag.String("o", "build/release", "folder to write")
	platforms := flag.String("platforms", strings.Join(all, " "), "platforms to build for, OS/ARCH")
	check := flag.Bool("check", false, "build twice, in two folders with two caches, and compare all bytes")
	flag.StringVar(&r.commit, "commit", "", "commit that the sources are of (default: what git says)")
	flag.StringVar(&r.version, "version", "", "version (default: the tag of the commit, if it has one)")
	flag.StringVar(&r.sum, "sum", "", "hash of the version's module, as go.sum has it (default: that of what git has)")
	compare := flag.String("compare", "", "file of checksums (SHA256SUMS) that somebody else's build of the same commit wrote, to compare with")
	flag.StringVar(&r.cache, "cache", "", "folder for what the go command builds of the programs (default: its own)")
	epoch := flag.Int64("epoch", 0, "seconds since 1970 of the commit (default: what git says)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := func() (err error) {
		r.platforms = strings.Fields(*platforms)
		for _, p := range r.platforms {
			if !slices.Contains(all, p) {
				return fmt.Errorf("platform %q: want some of %s", p, strings.Join(all, ", "))
			}
		}
		if r.out, err = filepath.Abs(*out); err != nil {
			return err
		}
		if *check {
			err = twice(ctx, r.out, r.platforms)
		} else {
			if r.commit == "" {
				if *epoch, err = r.describe(ctx); err != nil {
					return err
				}
			}
			r.time = time.Unix(*epoch, 0).UTC()
			err = r.build(ctx)
		}
		if err != nil || *compare == "" {
			return err
		}
		return compareSums(os.Stdout, *compare, r.out, len(r.platforms) == len(all))
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one version.
type release struct {
	out             string
	version, commit string // version: "" of a commit without a tag
	sum             string // of a version: the hash of its module, which go.mod files that its compiler writes come with
	time            time.Time
	platforms       []string
	cache           string // of the go command; "": its own
}

// describe asks git for the commit, its tag and its time. What differs from the commit is not published.
func (r *release) describe(ctx context.Context) (epoch int64, err error) {
	changed, err := output(ctx, nil, "git", "status", "--porcelain")
	if err != nil {
		return 0, err
	}
	if changed != "" {
		return 0, errors.New("the working tree differs from its commit; commit first, what is published is of a commit")
	}
	if r.commit, err = output(ctx, nil, "git", "rev-parse", "HEAD"); err != nil {
		return 0, err
	}
	r.version, _ = output(ctx, nil, "git", "describe", "--tags", "--exact-match", "--match", "v*") // fails where there is no tag
	if r.version != "" {
		if r.sum, err = moduleSum(".", r.version, r.commit); err != nil {
			return 0, err
		}
	}
	when, err := output(ctx, nil, "git", "show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(when, 10, 64)
}

// moduleSum returns the hash that go.sum has of a version of the module: of the archive that a module proxy makes of a commit in a clone.
func moduleSum(clone, version, commit string) (sum string, err error) {
	of := module.Version{Path: console.Module, Version: version}
	if err := module.Check(of.Path, of.Version); err != nil || semver.Canonical(version) != version {
		return "", fmt.Errorf("the tag %s is no version of a module whose path ends without one: want v0.N.N or v1.N.N", version)
	}
	file, err := os.CreateTemp("", "module-*.zip")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(zip.CreateFromVCS(file, of, clone, commit, ""), file.Close()); err != nil {
		return "", err
	}
	return dirhash.HashZip(file.Name(), dirhash.Hash1)
}

// name is what files are called after.
func (r *release) name() string {
	if r.version != "" {
		return r.version
	}
	return r.commit[:min(12, len(r.commit))]
}

// sumsFile has the digests of a release.
const sumsFile = "SHA256SUMS"

// digests reads a file of checksums, by the names of files.
func digests(sums []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		if digest, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			out[name] = digest
		}
	}
	return out
}

// empty removes an earlier release, and nothing else.
func empty(dir string) error {
	if err := replaceable(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// replaceable refuses a folder that is no earlier release: it has to hold its checksums, and no file but theirs, or nothing.
func replaceable(dir string) error {
	found, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	listed, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ours := digests(listed)
	for _, e := range found {
		if _, listed := ours[e.Name()]; !e.Type().IsRegular() || !listed && e.Name() != sumsFile {
			return fmt.Errorf("%s holds %s, which no earlier release wrote: name an empty folder, or one that is not there", dir, e.Name())
		}
	}
	return nil
}

func (r *release) build(ctx context.Context) error {
	if err := empty(r.out); err != nil {
		return err
	}
	work := filepath.Join(r.out, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	beside, err := r.beside(ctx, work)
	if err != nil {
		return err
	}
	for _, p := range r.platforms {
		if err := r.archive(ctx, work, p, beside); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if err := r.images(ctx, work); err != nil {
		return err
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	return sums(r.out)
}

// toolEnvironment is that in which the go command builds and runs tools: for this machine, whatever others are built for, and with its user's
// settings of where modules come from.
func toolEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GOOS", "GOARCH", "GOEXPERIMENT", "GOFLAGS", "GOWORK"}, name)
	})
	return append(env, "GOFLAGS=", "GOWORK=off")
}

// kept are the go command's settings of where modules come from, and where it keeps them and what it builds. Programs do not depend on them.
var kept = []string{
	"GOPATH", "GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH",
}

// environment is that in which the go command builds programs: nothing of it depends on who runs it, but for what is kept, of which some may
// stand in a file of the user's (go env -w) and not in his environment.
func environment(ctx context.Context, more ...string) ([]string, error) {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "GO") && name != "GOROOT"
	})
	said, err := output(ctx, toolEnvironment(), "go", append([]string{"env", "-json"}, kept...)...)
	if err != nil {
		return nil, err
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(said), &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	for _, name := range kept {
		if values[name] != "" {
			env = append(env, name+"="+values[name])
		}
	}
	return append(append(env, "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off", "GOTOOLCHAIN=local", "GOAMD64=v1", "GOARM64=v8.0", "GOENV=off", "LC_ALL=C", "TZ=UTC"), more...), nil
}

// program builds a program for a platform. Version, commit and hash are written into it, since what the go command notes of a clone or of a
// module's archive is not there in an archive of the sources.
func (r *release) program(ctx context.Context, work, platform, name, pkg string) (string, error) {
	goos, arch, _ := strings.Cut(platform, "/")
	if goos == "windows" {
		name += ".exe"
	}
	file := filepath.Join(work, goos+"_"+arch, name)
	const stamp = " -X github.com/zkllmc/zkllmc/internal/console."
	flags := "-s -w -buildid=" + stamp + "stampedVersion=" + r.version + stamp + "stampedCommit=" + r.commit + stamp + "stampedSum=" + r.sum
	env, err := environment(ctx, "GOOS="+goos, "GOARCH="+arch)
	if err != nil {
		return "", err
	}
	if r.cache != "" {
		env = append(env, "GOCACHE="+r.cache)
	}
	_, err = output(ctx, env, "go", "build", "-buildvcs=false", "-ldflags", flags, "-o", file, pkg)
	return file, err
}

// beside are the files of archives that are no programs: licence, manual pages and completions, which the programs of this machine write.
func (r *release) beside(ctx context.Context, work string) (files []member, err error) {
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "SERVING.md"} {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, member{name: name, data: data})
	}
	own := runtime.GOOS + "/" + runtime.GOARCH
	tools := map[string]string{}
	for _, p := range programs {
		if tools[p.name], err = r.program(ctx, filepath.Join(work, "own"), own, p.name, p.pkg); err != nil {
			return nil, err
		}
	}
	dated := append(os.Environ(), fmt.Sprint("SOURCE_DATE_EPOCH=", r.time.Unix()))
	for shell, name := range completions {
		text, err := output(ctx, dated, tools["zkllmc"], "completion", shell)
		if err != nil {
			return nil, err
		}
		files = append(files, member{name: "completions/" + name, data: []byte(text + "\n")})
	}
	pages := filepath.Join(work, "man")
	if _, err := output(ctx, dated, tools["zkllmc"], "manual", pages); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(pages)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(pages, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, member{name: "man/man1/" + e.Name(), data: data})
	}
	help, err := output(ctx, dated, tools["zkllmc-verifier"], "--help")
	if err != nil {
		return nil, err
	}
	return append(files, member{name: "man/man1/zkllmc-verifier.1", data: page("zkllmc-verifier", "checks proofs about the answers of a model", help, r.time)}), nil
}

// completions are the shells with the names that files of theirs have.
var completions = map[string]string{"bash": "zkllmc.bash", "zsh": "_zkllmc", "fish": "zkllmc.fish", "powershell": "zkllmc.ps1"}

// page is a manual page that shows a help text as it is.
func page(name, about, help string, when time.Time) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, ".TH \"%s\" \"1\" \"%s\" \"\" \"\"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n", strings.ToUpper(name), when.Format("Jan 2006"), strings.ReplaceAll(name, "-", `\-`), about)
	for _, line := range strings.Split(strings.TrimRight(help, "\n"), "\n") {
		line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		fmt.Fprintln(&out, line)
	}
	out.WriteString(".fi\n")
	return out.Bytes()
}

// archive writes the archive of a platform, and lists beside it what its programs are made of.
func (r *release) archive(ctx context.Context, work, platform string, files []member) error {
	goos, arch, _ := strings.Cut(platform, "/")
	base := fmt.Sprintf("zkllmc_%s_%s_%s", r.name(), goos, arch)
	files = slices.Clone(files)
	for _, p := range programs {
		file, err := r.program(ctx, work, platform, p.name, p.pkg)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files = append(files, member{name: filepath.Base(file), data: data, program: true})
		list := filepath.Join(r.out, strings.Replace(base, "zkllmc", p.name, 1)+".cdx.json")
		if _, err := output(ctx, toolEnvironment(), "go", "run", sbom, "bin", "-json", "-noserial", "-notimestamp", "-std", "-version", r.name(), "-output", list, file); err != nil {
			return fmt.Errorf("SBOM: %w", err)
		}
	}
	for i := range files {
		files[i].name = base + "/" + files[i].name
	}
	write, ext := writeTar, ".tar.gz"
	if goos == "windows" {
		write, ext = writeZip, ".zip"
	}
	var out bytes.Buffer
	if err := write(&out, files, r.time); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, base+ext), out.Bytes(), 0o644)
}

// images writes the images for containers, of those platforms that are built.
func (r *release) images(ctx context.Context, work string) error {
	args := []string{"run", "-C", "scripts/release/oci", ".", "-name", r.name(), "-commit", r.commit, "-epoch", fmt.Sprint(r.time.Unix()), "-o", r.out}
	for _, p := range images {
		if slices.Contains(r.platforms, p) {
			args = append(args, p+"="+filepath.Join(work, strings.Replace(p, "/", "_", 1)))
		}
	}
	if args[len(args)-1] == r.out {
		return nil
	}
	_, err := output(ctx, toolEnvironment(), "go", args...)
	return err
}

// sums writes the checksums of all files of a folder.
func sums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	fmt.Print(out.String())
	return os.WriteFile(filepath.Join(dir, sumsFile), out.Bytes(), 0o644)
}

// output runs a command and returns what it prints. env is its environment, nil for that of this process.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = env
	var failed bytes.Buffer
	c.Stderr = &failed
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &failed)
	}
	return strings.TrimRight(string(out), "\n"), err
}

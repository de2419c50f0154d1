package console

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Module is the path of the module that this package belongs to.
const Module = "github.com/zkllmc/zkllmc"

// Build says which code of zkllmc a program was built from.
type Build struct {
	Version string // of a release, as the go command writes it; empty: a development build
	Commit  string // empty: unknown
	Changed bool   // the working tree differed from the commit
	Sum     string // of a release: the hash of its module, as go.sum has it
}

// What the linker writes into programs that are published as such: scripts/release builds them from sources without version control.
var stampedVersion, stampedCommit, stampedSum string

// ThisBuild is the build of the running program.
func ThisBuild() Build {
	if stampedCommit != "" {
		return Build{Version: stampedVersion, Commit: stampedCommit, Sum: stampedSum}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{}
	}
	return NewBuild(info)
}

// NewBuild reads the build information of a program that is zkllmc or links it. Only what came from a module proxy is a release: the
// go command knows its hash. What version control says is about the main module, and told only if that is zkllmc itself.
func NewBuild(info *debug.BuildInfo) Build {
	if info.Main.Path == Module {
		b := release(info.Main)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Changed = s.Value == "true"
			}
		}
		return b
	}
	for _, d := range info.Deps {
		if d.Path == Module && d.Replace == nil {
			return release(*d)
		}
	}
	return Build{}
}

// release returns version and commit of a module with a hash. A pseudo-version ends with the first 12 digits of its commit.
func release(m debug.Module) Build {
	if m.Sum == "" {
		return Build{}
	}
	b := Build{Version: m.Version, Sum: m.Sum}
	base, _, _ := strings.Cut(m.Version, "+")
	if parts := strings.Split(base, "-"); len(parts) >= 3 && len(parts[len(parts)-1]) == 12 {
		b.Commit = parts[len(parts)-1]
	}
	return b
}

// unknown is said of a commit: the go command notes none with -buildvcs=false, of sources that are no clone, and of a clone that a replace
// directive names.
const unknown = "unknown: the program links a folder of sources, and the go command has noted no commit of it"

// Brief names the build in a word or a few: a release's version, else the commit.
func (b Build) Brief() string {
	switch {
	case b.Version != "":
		return b.Version
	case b.Commit == "":
		return "development build"
	case b.Changed:
		return "development build of " + b.Commit + ", changed"
	}
	return "development build of " + b.Commit
}

// Lines is what --version prints before what the program adds: version, commit and protocol, a line each.
func (b Build) Lines(protocol string) string {
	version, commit := b.Version, b.Commit
	if version == "" {
		version = "development build"
	}
	switch {
	case commit == "" && b.Version != "":
		commit = "that of the tag " + b.Version
	case commit == "":
		commit = unknown
	case b.Changed:
		commit += ", changed"
	}
	return fmt.Sprintf("version   %s\ncommit    %s\nprotocol  %s\n", version, commit, protocol)
}

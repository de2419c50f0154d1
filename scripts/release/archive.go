package main

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// member is a file of an archive.
type member struct {
	name    string
	data    []byte
	program bool
}

func (m *member) mode() int64 {
	if m.program {
		return 0o755
	}
	return 0o644
}

// sorted is the order in which archives have their files.
func sorted(files []member) []member {
	return slices.SortedFunc(slices.Values(files), func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// writeTar writes a compressed archive whose bytes follow from its files and the time alone.
func writeTar(to io.Writer, files []member, when time.Time) error {
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for _, f := range sorted(files) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: f.mode(), ModTime: when, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return z.Close()
}

// writeZip is writeTar as a zip file.
func writeZip(to io.Writer, files []member, when time.Time) error {
	w := zip.NewWriter(to)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, f := range sorted(files) {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: when.UTC()}
		h.SetMode(fs.FileMode(f.mode()))
		part, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(f.data); err != nil {
			return err
		}
	}
	return w.Close()
}

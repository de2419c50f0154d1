//go:build cuda

package kerneltest

import "embed"

// The pattern is this file, too, without which there would be nothing to embed where there is no fat binary.
//
//go:embed checks*
var built embed.FS

// Package page holds the page on which customers check proofs in a browser, which scripts/page.sh builds, and its test.
package page

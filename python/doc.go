// Package python holds the Python package, which scripts/wheel.sh builds with the verifier inside, and its test.
package python

// Package npm holds the npm package of the verifier for JavaScript, which scripts/npm.sh builds, and its test.
package npm

// Package zk holds no code, only tests of what proofs hide. The zero-knowledge argument itself stands in SECURITY.md, its simulator in
// the tests of package veil (export_test.go, simulate_test.go there); here are the premises of the argument, and attacks.
//
//   - manifest_test.go: every element of a proof belongs to a message that is listed (internal/test/messages) with the reason why it
//     hides, and every place in the sources that sends something is listed too.
//   - streams_test.go: which streams of randomness a proof draws, how long they are, that none is drawn twice, and that a real
//     prover uses each for what its name says.
//   - uniform_test.go: with challenges that never change, so that a value without a pad would stand still, the elements of many
//     proofs of one statement look uniform and never repeat.
//   - leaks_test.go: what an attacker might hope for: aborted attempts, lengths, private prompts, a system whose random bytes
//     repeat, what a refusal says.
package zk

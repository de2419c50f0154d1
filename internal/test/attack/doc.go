// Package attack holds no code, only tests that attack whole proofs: provers that lie in exactly one place and are honest around
// it, next to controls that are accepted. attacks_test.go lists the attacks; TestMustReject runs what is in the list and nothing else.
//
//   - kit_test.go is the lying prover: a lie replaces a cell, a program, weights, an input, committed rows, messages, challenges, a
//     backend or a statement, and the prover goes on from there. fieldcells_test.go commits to field elements that are no integers.
//   - generic*_test.go lie about any circuit: the smallest ones that have a stage (circuits_test.go) and trained models
//     (models_test.go, for which these tests, and nothing else below runtime, import the compiler). cells, messages and bytes_test.go
//     serve them.
//   - program, protocol, order and hiding_test.go are attacks that need a circuit or a run of their own. Where an attack is possible only
//     if a challenge were known in advance, the test freezes that one challenge for both sides, shows that the attack then succeeds,
//     and that it fails on the real transcript (frozen_test.go).
//   - known_test.go and known_protocol_test.go play what broke other systems.
//   - schedule_test.go pins the order of everything that is absorbed and drawn.
package attack

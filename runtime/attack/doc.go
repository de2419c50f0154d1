// Package attack holds no code, only tests that attack whole proofs: provers that lie in exactly one place and are honest around
// it, next to controls that are accepted. Every stage stands on the smallest circuit that has it (circuits_test.go).
//
//   - cells_test.go lies in every committed tensor, messages_test.go in every message, bytes_test.go in every item of the files.
//   - mustreject_*_test.go are the named attacks of the protocol's section 10. Where an attack is possible only if a challenge
//     were known in advance, the test freezes that one challenge for both sides, shows that the attack then succeeds, and that
//     it fails on the real transcript (frozen_test.go).
//   - schedule_test.go pins the order of everything that is absorbed and drawn; hiding_test.go looks for repeated items.
package attack

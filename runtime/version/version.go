// Package version is the handshake between generated code and the runtime. Generated code refers to the constant of the runtime
// interface that it was generated for; a runtime that no longer offers it removes the constant, so that a mismatch is a compile
// error and never a proof about something else.
package version

// V1 is the first interface: circuit builder, gadgets, attention, verifier and prover as of protocol version 1.
const V1 = 1

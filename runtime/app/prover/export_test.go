package prover

// Run is start, for tests.
var Run = start

package compiler

import (
	"context"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/engine"
)

// Time makes keys, a proof of a calibration input and, of a generation, a token after the other of its second half, and says what these take by a
// clock that counts seconds: the keys, a token, which is 0 of a function, and the phases of the proof, by the names that progress shows. The proof
// is not verified: Prove does.
func (r *Result) Time(ctx context.Context, clock func() float64) (setup, token float64, phases map[string]float64, err error) {
	cells, err := r.integers()
	if err != nil {
		return 0, 0, nil, err
	}
	o := engine.Options{Backend: cpu.New()}
	since, phase := clock(), ""
	key, _, err := engine.Setup(ctx, r.Family, cells, o)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("setup: %w", err)
	}
	setup = clock() - since
	in, err := r.claim(ctx, r.beginning(r.samples[0].Elements))
	if err != nil {
		return 0, 0, nil, err
	}
	phases = map[string]float64{}
	o.Phase = func(name string) {
		now := clock()
		if phase != "" {
			phases[phase] += now - since
		}
		since, phase = now, name
	}
	if _, err = key.Prove(ctx, in, o); err == nil && r.generation {
		token, err = r.timeToken(ctx, key, clock)
	}
	return setup, token, phases, err
}

// timeToken lets a key's owner read the first half of a calibration input at once, and then token by token.
func (r *Result) timeToken(ctx context.Context, key *engine.Key, clock func() float64) (seconds float64, err error) {
	tokens := integers(r.samples[0].Elements[0])
	half := len(tokens) / 2
	d, err := key.Decode(len(tokens), cpu.New())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Next(ctx, tokens[:half]...); err != nil {
		return 0, err
	}
	since := clock()
	for _, t := range tokens[half:] {
		if err := d.Next(ctx, t); err != nil {
			return 0, err
		}
	}
	return (clock() - since) / float64(len(tokens)-half), nil
}

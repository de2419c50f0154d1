package compiler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/passage"
)

// presets settle what exports of a kind of model leave open, by the names that exporters give their inputs and outputs.
var presets = map[string]func(p *preset){"decoder": (*preset).decoder, "encoder": (*preset).encoder, "vision": (*preset).vision}

// preset is one on its way into a configuration, which counts before it.
type preset struct {
	m   *onnx.Model
	cfg *Config
}

// withPreset returns a configuration with what its preset says of a model.
func (cfg Config) withPreset(m *onnx.Model) (Config, error) {
	if cfg.Preset == "" {
		return cfg, nil
	}
	apply := presets[cfg.Preset]
	if apply == nil {
		return cfg, fmt.Errorf("%w: preset %q; there are %s", ErrName, cfg.Preset, listed(slices.Sorted(maps.Keys(presets))))
	}
	cfg.Fix, cfg.Ranges, cfg.Dims = clone(cfg.Fix), clone(cfg.Ranges), clone(cfg.Dims)
	apply(&preset{m, &cfg})
	return cfg, nil
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	c := map[K]V{}
	maps.Copy(c, m)
	return c
}

// decoder continues one text from its beginning: all positions count, nothing came before, and only the best token is told.
func (p *preset) decoder() {
	p.fix("attention_mask", "ones")
	p.fix("position_ids", "arange")
	p.fix("token_type_ids", "zeros")
	p.fix("use_cache_branch", "zeros")
	for _, in := range p.m.Graph.Inputs {
		if strings.Contains(in.Name, "past") && in.DType.IsFloat() {
			p.empty(in)
		}
	}
	if len(p.cfg.Outputs) == 0 && slices.ContainsFunc(p.m.Graph.Outputs, func(o onnx.ValueInfo) bool { return o.Name == "logits" }) {
		p.cfg.Outputs = []string{"logits"}
	}
	if len(p.cfg.Reveal) == 0 {
		p.cfg.Reveal = map[string]string{"": "argmax"}
	}
}

// encoder reads a text with a mask of its padding.
func (p *preset) encoder() {
	p.fix("position_ids", "arange")
	for _, in := range p.inputs() {
		if lo, hi, ok := passage.PartOf(in.Name).Range(); ok {
			p.within(in.Name, float64(lo), float64(hi))
		}
	}
}

// vision reads a normalised picture, which proofs hide.
func (p *preset) vision() {
	for _, in := range p.inputs() {
		if in.DType.IsFloat() && !p.cfg.fixes(in.Name) {
			p.within(in.Name, -3, 3)
			if !slices.Contains(p.cfg.PrivateInputs, "all") && !slices.Contains(p.cfg.PrivateInputs, in.Name) {
				p.cfg.PrivateInputs = append(slices.Clone(p.cfg.PrivateInputs), in.Name)
			}
		}
	}
}

// inputs are those that are no initializers.
func (p *preset) inputs() (list []onnx.ValueInfo) {
	_, named := names(p.m)
	for _, in := range p.m.Graph.Inputs {
		if slices.Contains(named, in.Name) {
			list = append(list, in)
		}
	}
	return list
}

// input finds one that the configuration says nothing of.
func (p *preset) input(name string) (onnx.ValueInfo, bool) {
	list := p.inputs()
	i := slices.IndexFunc(list, func(in onnx.ValueInfo) bool { return in.Name == name })
	_, ranged := p.cfg.Ranges[name]
	if i < 0 || ranged || p.cfg.fixes(name) || slices.Contains(p.cfg.PrivateInputs, name) {
		return onnx.ValueInfo{}, false
	}
	return list[i], true
}

// fix fills an input, whose open axes but the first are as long as the token ids.
func (p *preset) fix(name, what string) {
	in, ok := p.input(name)
	if !ok {
		return
	}
	p.cfg.Fix[name] = what
	n, known := p.length()
	for i, d := range in.Dims {
		if _, given := p.cfg.Dims[d.Param]; i > 0 && d.Value < 0 && !given && known {
			p.cfg.Dims[fmt.Sprintf("%s[%d]", name, i)] = n
		}
	}
}

// length is that of the token ids, if it is a number already.
func (p *preset) length() (int, bool) {
	for _, in := range p.inputs() {
		if in.Name != passage.TokensName || len(in.Dims) == 0 {
			continue
		}
		i := len(in.Dims) - 1
		d := in.Dims[i]
		for _, key := range []string{d.Param, fmt.Sprintf("%s[%d]", in.Name, i)} {
			if n, ok := p.cfg.Dims[key]; ok {
				return n, true
			}
		}
		return int(d.Value), d.Value > 0
	}
	return 0, false
}

// empty takes the positions out of a cache: its open axes but the first have none.
func (p *preset) empty(in onnx.ValueInfo) {
	for i, d := range in.Dims {
		if _, given := p.cfg.Dims[d.Param]; d.Value < 0 && i > 0 && !given {
			p.cfg.Dims[fmt.Sprintf("%s[%d]", in.Name, i)] = 0
		}
	}
}

func (p *preset) within(name string, lo, hi float64) {
	if _, ok := p.input(name); ok {
		p.cfg.Ranges[name] = Range{Lo: lo, Hi: hi}
	}
}

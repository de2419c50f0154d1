package huggingface

import (
	"encoding/json"
	"fmt"
	"slices"
)

// processorFile holds the parameters of all kinds.
type processorFile struct {
	Type           string                  `json:"type"`
	Single         []map[string]pieceFile  `json:"single"` // TemplateProcessing
	Pair           json.RawMessage         `json:"pair"`   // TemplateProcessing: of two texts, which nobody gives here
	SpecialTokens  map[string]specialToken `json:"special_tokens"`
	Sep            []json.RawMessage       `json:"sep"` // BertProcessing, RobertaProcessing
	Cls            []json.RawMessage       `json:"cls"`
	AddPrefixSpace *bool                   `json:"add_prefix_space"` // of no meaning for ids, as the next two
	TrimOffsets    *bool                   `json:"trim_offsets"`
	UseRegex       *bool                   `json:"use_regex"`
}

type pieceFile struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

type specialToken struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// parsePostProcessor returns the ids that stand before and behind a text's.
func parsePostProcessor(raw json.RawMessage, known func(int64) bool) (before, after []int64, err error) {
	steps, err := flatten(raw, "processors")
	if err != nil {
		return nil, nil, err
	}
	for _, step := range steps {
		x, y, err := processor(step)
		if err != nil {
			return nil, nil, err
		}
		before, after = slices.Concat(x, before), slices.Concat(after, y)
	}
	if len(before)+len(after) > maxSteps {
		return nil, nil, fmt.Errorf("it adds more than %d tokens", maxSteps)
	}
	for _, id := range slices.Concat(before, after) {
		if !known(id) {
			return nil, nil, fmt.Errorf("it adds the id %d, which is no token's", id)
		}
	}
	return before, after, nil
}

func processor(raw json.RawMessage) (before, after []int64, err error) {
	var f processorFile
	if err := strict(raw, &f); err != nil {
		return nil, nil, err
	}
	switch f.Type {
	case "ByteLevel": // it changes offsets
		return nil, nil, nil
	case "TemplateProcessing":
		return f.template()
	case "BertProcessing", "RobertaProcessing":
		if before, err = idOf(f.Cls); err == nil {
			after, err = idOf(f.Sep)
		}
		return before, after, err
	}
	return nil, nil, unsupported(f.Type)
}

// idOf reads a pair of a token and its id.
func idOf(pair []json.RawMessage) ([]int64, error) {
	var id int64
	if len(pair) != 2 || json.Unmarshal(pair[1], &id) != nil {
		return nil, fmt.Errorf("%.100s is no pair of a token and its id", pair)
	}
	return []int64{id}, nil
}

// template reads the parts of TemplateProcessing, of which one is the text.
func (f *processorFile) template() (before, after []int64, err error) {
	texts := 0
	for _, part := range f.Single {
		sequence, isText := part["Sequence"]
		token, isToken := part["SpecialToken"]
		special, known := f.SpecialTokens[token.ID]
		switch {
		case len(part) == 1 && isText && sequence.ID == "A":
			texts++
		case len(part) != 1 || !isToken || !known:
			return nil, nil, fmt.Errorf("a part of its template is neither the text nor one of its special tokens")
		case texts == 0:
			before = append(before, special.IDs...)
		default:
			after = append(after, special.IDs...)
		}
	}
	if texts != 1 {
		return nil, nil, fmt.Errorf("its template has the text %d times", texts)
	}
	return before, after, nil
}

// paddingFile is read for the id alone: sequences are padded by the prover.
type paddingFile struct {
	Strategy json.RawMessage `json:"strategy"`
	Dir      string          `json:"direction"`
	Multiple *int            `json:"pad_to_multiple_of"`
	ID       int64           `json:"pad_id"`
	TypeID   int             `json:"pad_type_id"`
	Token    string          `json:"pad_token"`
}

func parsePadding(raw json.RawMessage, known func(int64) bool) (int64, error) {
	if none(raw) {
		return -1, nil
	}
	var f paddingFile
	if err := strict(raw, &f); err != nil {
		return -1, err
	}
	if !known(f.ID) {
		return -1, fmt.Errorf("the id %d is no token's", f.ID)
	}
	return f.ID, nil
}

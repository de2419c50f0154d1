package huggingface

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// templateFile is a template; see Parse.
type templateFile struct {
	Before string   `json:"before"`
	After  string   `json:"after"`
	End    string   `json:"end"`
	Trim   bool     `json:"trim"`
	Marks  []string `json:"marks"`
	Answer *around  `json:"answer"`
	System *around  `json:"system"`
}

// around is what stands before and behind a message.
type around struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// maxTemplate bounds what a template adds to a text, in bytes.
const maxTemplate = 1 << 14

// chat makes a prompt of a user's words, or of a conversation.
type chat struct {
	templateFile
	control        map[int64]bool // tokens that make turns: special ones, and those in the template's texts
	samples        [2]string      // contents that the tokenizer can write
	read           []string       // the marks, as their tokens read
	turns          turns          // of a user's words alone
	prefix, suffix string         // what Decode shows before and behind the user's words
}

func (t *tokenizer) setTemplate(data []byte) error {
	var f templateFile
	if len(data) > 4*maxTemplate {
		return fmt.Errorf("%d bytes, the limit is %d", len(data), 4*maxTemplate)
	}
	if err := strictjson.Unmarshal(data, &f); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	t.sum = sha256.Sum256(slices.Concat(t.sum[:], sum[:]))
	if len(strings.Join(f.texts(), "")) > maxTemplate || slices.Contains(f.Marks, "") {
		return fmt.Errorf("its texts have more than %d bytes, or a mark is empty", maxTemplate)
	}
	if f.End != "" {
		if t.end = t.idOf(f.End); t.end < 0 {
			return fmt.Errorf("its end %q is no token", f.End)
		}
	}
	if f.Before == "" && f.After == "" {
		if f.Trim || f.Marks != nil || f.Answer != nil || f.System != nil {
			return fmt.Errorf("without before and after there is nothing to trim or to mark, and there are no turns")
		}
		return nil
	}
	return t.setChat(f)
}

// idOf returns the id of a token, −1 if there is none.
func (t *tokenizer) idOf(name string) int64 {
	for id, n := range t.names {
		if n == name {
			return id
		}
	}
	return -1
}

// texts are the template's own.
func (f *templateFile) texts() []string {
	out := []string{f.Before, f.After}
	for _, a := range []*around{f.Answer, f.System} {
		if a != nil {
			out = append(out, a.Before, a.After)
		}
	}
	return out
}

// setChat finds the control tokens, and what is shown around the words: what the prompts of two words have in common.
func (t *tokenizer) setChat(f templateFile) error {
	c := &chat{templateFile: f, control: map[int64]bool{}}
	for _, a := range t.added.tokens {
		if a.Special && a.Content != t.unknown {
			c.control[a.ID] = true
		}
	}
	for _, literal := range f.texts() {
		for _, s := range t.added.split(literal, nil) {
			if s.id >= 0 && trimLeft(t.names[s.id]) != "" { // white space, a token of its own in some, is no turn
				c.control[s.id] = true
			}
		}
	}
	if t.end >= 0 {
		c.control[t.end] = true
	}
	if err := c.checkTurns(t); err != nil {
		return err
	}
	if err := c.sample(t); err != nil {
		return err
	}
	shown, err := c.literals(t, alone, t.text)
	if err != nil {
		return err
	}
	ids, err := c.ids(t, filled(alone, c.samples[0]))
	if err != nil {
		return err
	}
	if err := c.readMarks(t); err != nil {
		return err
	}
	c.turns = c.turnsOf(t, ids)
	c.prefix, c.suffix = shown[0], shown[1]
	t.chat = c
	return nil
}

// alone is the shape of a prompt: a message of the user.
var alone = []conversation.Message{{Role: conversation.User}}

// sample finds two letters or digits that the tokenizer can write; the error is that of the last where there are none.
func (c *chat) sample(t *tokenizer) (err error) {
	found := 0
	for _, r := range "abcdefghijklmnopqrstuvwxyz0123456789" {
		c.samples[found] = string(r)
		if _, err = c.ids(t, filled(alone, string(r))); err == nil {
			found++
		}
		if found == len(c.samples) {
			return nil
		}
	}
	if err == nil {
		err = fmt.Errorf("it writes one letter or digit alone")
	}
	return err
}

// checkTurns refuses a template of conversations in which a message could go on as another: where each ends there is a control token or a mark,
// which no message holds.
func (c *chat) checkTurns(t *tokenizer) error {
	if c.Answer == nil && c.System == nil {
		return nil
	}
	ends := map[string]string{"after": c.After}
	if c.Answer != nil {
		ends["answer: after"] = c.Answer.After
	}
	if c.System != nil {
		ends["system: after"] = c.System.After
	}
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		marked := slices.ContainsFunc(c.Marks, func(mark string) bool { return strings.Contains(ends[name], mark) })
		if !marked && !slices.ContainsFunc(t.added.split(ends[name], nil), func(s segment) bool { return c.control[s.id] }) {
			return fmt.Errorf("%s: it has neither a special token nor a mark, so that messages could spell turns", name)
		}
	}
	return c.checkSystem(t)
}

// checkSystem refuses a template in which a conversation with a message of the system could be one without. Control tokens and marks cut both
// into pieces; of equally many pieces there are no two, unless the template has a message of the system of its own. Then a conversation that has
// none has that one.
func (c *chat) checkSystem(t *tokenizer) error {
	if c.System == nil {
		return nil
	}
	count := func(literal string) (n int) {
		for _, s := range t.added.split(literal, nil) {
			if c.control[s.id] {
				n++
			}
		}
		for _, mark := range c.Marks {
			n += strings.Count(literal, mark)
		}
		return n
	}
	more := count(c.System.Before) + count(c.System.After) - count(c.Before)
	if more == 0 {
		if len(c.Before) < len(c.System.Before)+len(c.System.After) || !strings.HasPrefix(c.Before, c.System.Before) || !strings.HasSuffix(c.Before, c.System.After) {
			return fmt.Errorf("system: its texts have as many special tokens and marks as before, which has no message of the system in them")
		}
		return nil
	}
	if c.Answer == nil {
		return nil
	}
	if turn := count(c.After+c.Answer.Before) + count(c.Answer.After); more%turn == 0 {
		return fmt.Errorf("system: its texts have as many special tokens and marks more than before as turns have, so that a message of the system could be one of the user")
	}
	return nil
}

// around returns what stands before the first message, between every two, and behind the last.
func (c *chat) around(messages []conversation.Message) ([]string, error) {
	out := []string{c.Before}
	for _, m := range messages {
		switch {
		case m.Role == conversation.System && c.System == nil:
			return nil, fmt.Errorf("%w: the template of the model has no place for a message of the system (its member \"system\")", tokens.ErrText)
		case m.Role == conversation.System:
			out = []string{c.System.Before, c.System.After}
		case m.Role == conversation.Assistant && c.Answer == nil:
			return nil, fmt.Errorf("%w: the template of the model is of one message and says nothing of earlier answers (its member \"answer\")", tokens.ErrText)
		case m.Role == conversation.Assistant:
			out[len(out)-1] += c.Answer.Before
			out = append(out, c.Answer.After)
		default:
			out = append(out, c.After)
		}
	}
	return out, nil
}

// ids encodes a conversation. The library reads template and messages as one text, and so is it read here; but what the messages hold is no
// control token.
func (c *chat) ids(t *tokenizer, messages []conversation.Message) ([]int64, error) {
	around, err := c.around(messages)
	if err != nil {
		return nil, err
	}
	w := &words{control: c.control}
	text := around[0]
	for i, m := range messages {
		from := len(text)
		text += m.Content
		w.spans = append(w.spans, stretch{from, len(text)})
		text += around[i+1]
	}
	if err := checkText(text); err != nil {
		return nil, err
	}
	return t.ids(text, w)
}

// literals returns what a way to show ids shows around the messages of conversations of a shape: what those of two contents have in common.
func (c *chat) literals(t *tokenizer, shape []conversation.Message, show func([]int64) string) ([]string, error) {
	var shown [2]string
	for i, content := range c.samples {
		ids, err := c.ids(t, filled(shape, content))
		if err != nil {
			return nil, err
		}
		shown[i] = show(ids)
	}
	var out []string
	from := 0
	for at := range min(len(shown[0]), len(shown[1])) {
		if shown[0][at] != shown[1][at] && len(out) < len(shape) {
			out = append(out, shown[0][from:at])
			from = at + 1
		}
	}
	for len(out) < len(shape) { // a vocabulary without these letters shows nothing that can be told apart
		out, from = append(out, shown[0][from:]), len(shown[0])
	}
	return append(out, shown[0][from:]), nil
}

// filled returns a conversation of a shape with one content.
func filled(shape []conversation.Message, content string) []conversation.Message {
	out := slices.Clone(shape)
	for i := range out {
		out[i].Content = content
	}
	return out
}

// only returns the control tokens among others.
func (c *chat) only(ids []int64) (out []int64) {
	for _, id := range ids {
		if c.control[id] {
			out = append(out, id)
		}
	}
	return out
}

// turns are what makes turns in the tokens of a conversation.
type turns struct {
	control []int64 // the control tokens, in order
	marks   []int   // how often each mark is read, where it overlaps itself, too
}

func (a turns) equal(b turns) bool {
	return slices.Equal(a.control, b.control) && slices.Equal(a.marks, b.marks)
}

// readMarks finds what is read of each mark. A tokenizer may write many texts in the same tokens: in another case, with other white space, in other
// normal forms. Words are compared with marks by what their tokens read, which is the same for all of these, and so are marks.
func (c *chat) readMarks(t *tokenizer) error {
	for _, mark := range c.Marks {
		ids, err := t.ids(mark, &words{[]stretch{{0, len(mark)}}, c.control})
		if err != nil {
			return err
		}
		read := c.marked(t, ids)
		if mark == trimLeft(mark) {
			read = trimLeft(read)
		}
		if mark == trimRight(mark) {
			read = trimRight(read)
		}
		if read == "" || t.unknown != "" && slices.Contains(ids, t.idOf(t.unknown)) {
			return fmt.Errorf("its mark %q has no tokens that other texts have not", mark)
		}
		c.read = append(c.read, read)
	}
	return nil
}

// turnsOf are the turns in some tokens.
func (c *chat) turnsOf(t *tokenizer, ids []int64) turns {
	out := turns{c.only(ids), make([]int, len(c.read))}
	text := c.marked(t, ids)
	for i, mark := range c.read {
		for rest := text; ; out.marks[i]++ {
			at := strings.Index(rest, mark)
			if at < 0 {
				break
			}
			rest = rest[at+1:]
		}
	}
	return out
}

// encode encodes a conversation. However a model makes its tokens: if there are other turns than in every conversation of this shape, it is
// refused.
func (c *chat) encode(t *tokenizer, messages []conversation.Message) ([]int64, error) {
	messages = slices.Clone(messages)
	for i := range messages {
		m := &messages[i]
		if err := checkText(m.Content); err != nil {
			return nil, err
		}
		if c.Trim {
			m.Content = strings.TrimFunc(m.Content, func(r rune) bool { return isSpace(r) || r >= 0x1c && r <= 0x1f }) // as Python's strip, in whose templates it stands
		}
		for _, mark := range c.Marks {
			if strings.Contains(m.Content, mark) {
				return nil, fmt.Errorf("%w: it holds %q, with which the chat's template marks turns", tokens.ErrText, mark)
			}
		}
	}
	want := c.turns
	if len(messages) > 1 {
		shape, err := c.ids(t, filled(messages, c.samples[0]))
		if err != nil {
			return nil, err
		}
		want = c.turnsOf(t, shape)
	}
	ids, err := c.ids(t, messages)
	if err == nil && !c.turnsOf(t, ids).equal(want) {
		err = fmt.Errorf("%w: it would be read as turns of the chat", tokens.ErrText)
	}
	return ids, err
}

// words takes off what a prompt shows around the user's words; ok says that it was there.
func (c *chat) words(text string) (words string, ok bool) {
	words, before := strings.CutPrefix(text, c.prefix)
	words, after := strings.CutSuffix(words, c.suffix)
	return words, before && after
}

// EncodeMessages implements conversation.Tokenizer.
func (t *tokenizer) EncodeMessages(messages []conversation.Message) ([]int64, error) {
	if t.chat == nil {
		return nil, fmt.Errorf("%w: there is no template of a chat, so that there are prompts and no conversations; compile --chat gives the model one", tokens.ErrText)
	}
	return t.chat.encode(t, messages)
}

// Messages implements conversation.Tokenizer. Control tokens are told from words that spell them; whoever calls compares what is found.
func (t *tokenizer) Messages(ids []int64) []conversation.Message {
	if t.chat == nil {
		return nil
	}
	text := t.chat.marked(t, ids)
	if m := t.chat.split(t, text, false); m != nil || t.chat.System == nil {
		return m
	}
	return t.chat.split(t, text, true)
}

// marked is the library's decode with control tokens by number.
func (c *chat) marked(t *tokenizer, ids []int64) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = t.names[id]
		if c.control[id] || names[i] == "" {
			names[i] = fmt.Sprintf("\x00%d\x00", id)
		}
	}
	return t.decode(names)
}

// split finds the messages in a marked text, with one of the system or without; nil if it is another text.
func (c *chat) split(t *tokenizer, text string, system bool) (out []conversation.Message) {
	turn, shape := conversation.User, slices.Clone(alone)
	if c.Answer != nil {
		shape = append(shape, conversation.Message{Role: conversation.Assistant}, alone[0])
	}
	if system {
		turn, shape = conversation.System, append([]conversation.Message{{Role: conversation.System}}, shape...)
	}
	literals, err := c.literals(t, shape, func(ids []int64) string { return c.marked(t, ids) })
	if err != nil {
		return nil
	}
	next := map[string]string{} // what stands behind a message that another follows
	for i, m := range shape[:len(shape)-1] {
		next[m.Role] = literals[i+1]
	}
	text, before := strings.CutPrefix(text, literals[0])
	text, after := strings.CutSuffix(text, literals[len(literals)-1])
	for found := before && after; found; {
		m := conversation.Message{Role: turn}
		if m.Content, text, found = strings.Cut(text, next[turn]); next[turn] == "" {
			m.Content, found = text, false
		}
		out = append(out, m)
		turn = map[string]string{conversation.System: conversation.User, conversation.User: conversation.Assistant, conversation.Assistant: conversation.User}[turn]
	}
	return out
}

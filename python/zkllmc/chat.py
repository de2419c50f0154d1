"""Finds zkllmc's template of chats (README, "Tokenizers and chats") for a template in Jinja, by what the latter makes of conversations.

A template in Jinja is a program. What it writes around messages of one letter says what our template must be; that the two are the same is then
tried with many conversations, and what differs is left out or refused. transformers renders, in Jinja's sandbox.
"""

import itertools
import re

from .error import Error

REMEDY = "write a template by hand (README, \"Tokenizers and chats\") and leave this one out: --no-chat"
MARK = re.compile(r"<<[^\s<>]+>>|<[^\s<>]+>|\[[^\s\[\]]+\]")  # what marks turns and is no token, as "[INST]"
TODAY = "{%- macro strftime_now(format) -%}some day{%- endmacro -%}"


class _Differs(Exception):
    """Our format cannot say what the template in Jinja does; the text says why."""


def template(tokenizer):
    """Returns our template as a dictionary, and why members that it could have are missing, by their names; None if the tokenizer has none.

    Raises Error where no template of ours gives a question the text that the tokenizer's gives it.
    """
    if not tokenizer.chat_template:
        return None, {}
    return _Finder(tokenizer).found()


class _Finder:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        try:
            self.source = tokenizer.get_chat_template()
        except ValueError as e:
            raise Error(f"chat template: {e}; {REMEDY}") from None
        names = (t for t in tokenizer.get_added_vocab() if t.strip())
        self.tokens = re.compile("|".join(re.escape(t) for t in sorted(names, key=len, reverse=True)) or r"(?!)")

    def found(self):
        ours, missing = {}, {}
        try:
            self.question(ours)
            self.compare(ours, [["user"]])
        except _Differs as e:
            raise Error(f"chat template: {e}; {REMEDY}") from None
        turns = ["user"]
        for member, find in (("answer", self.answer), ("system", self.system)):
            more = dict(ours)
            try:
                find(more)
                more["marks"] = self.marks(more)
                if member == "answer":
                    self.compare(more, [["user", "assistant"] * n + ["user"] for n in (1, 2, 3)])
                    turns = ["user", "assistant", "user"]
                else:
                    self.compare(more, [["system", "user"], ["system", *turns], ["system", *turns[:-1], *turns]])
                ours = more
            except _Differs as e:
                missing[member] = str(e)
        return {k: v for k, v in ours.items() if v not in ([], False)}, missing

    def render(self, messages, before="", answer=True):
        """The text up to where the model answers. A template that raises an error has no such conversation."""
        try:
            return self.tokenizer.apply_chat_template(
                messages, chat_template=before + self.source, tokenize=False, add_generation_prompt=answer)
        except Exception as e:  # whatever a program in Jinja can raise: its own errors, and those of what it does with values
            raise _Differs(f"it takes no {_named(messages)}: {e}") from None

    def literals(self, roles, answer=True):
        """What stands before the first message, between every two, and behind the last."""
        contents = [f"zk{chr(ord('a') + i)}llm" for i in range(len(roles))]
        messages = [{"role": r, "content": c} for r, c in zip(roles, contents)]
        text, out = self.render(messages, answer=answer), []
        if text != self.render(messages, before=TODAY, answer=answer):
            raise _Differs("it writes the day's date, and a circuit's prompts are the same on all days; write a date into a copy of the template")
        for content in contents:
            before, found, text = text.partition(content)
            if not found or content in text:
                raise _Differs(f"of a {_named(messages)} it does not write every message once and in order")
            out.append(before)
        return [*out, text]

    def question(self, ours):
        ours["before"], ours["after"] = self.literals(["user"])
        if not ours["before"] + ours["after"]:
            raise _Differs("it writes nothing around a question, which --end-token in place of --chat does, too")
        space = [" \n zk \n ", "zk"]
        written = self.render([{"role": "user", "content": space[0]}])
        ours["end"] = self.end()
        ours["trim"] = written == ours["before"] + space[1] + ours["after"]
        ours["marks"] = self.marks(ours)

    def end(self):
        """The token behind an answer: the one that the template writes there, or else the tokenizer's end of texts."""
        try:
            written = self.tokens.match(self.literals(["user", "assistant"], answer=False)[-1].lstrip())
        except _Differs:
            written = None
        end = written.group() if written else self.tokenizer.eos_token
        if not end:
            raise _Differs("it writes no token behind an answer, and the tokenizer has no end of texts")
        return end

    def answer(self, ours):
        before, between, behind, after = self.literals(["user", "assistant", "user"])
        if before != ours["before"] or after != ours["after"] or not between.startswith(after):
            raise _Differs("around an earlier answer it writes something else than before the next one")
        ours["answer"] = {"before": between[len(after):], "after": behind}

    def system(self, ours):
        before, between, after = self.literals(["system", "user"])
        if after != ours["after"]:
            raise _Differs("behind a message of the system it writes something else after the question")
        ours["system"] = {"before": before, "after": between}

    def marks(self, ours):
        """Strings that no message may hold. Every text behind a message needs one, or a token, or messages could go on as others."""
        members = [ours, *(ours[m] for m in ("answer", "system") if m in ours)]
        marks = {m for around in members for text in (around["before"], around["after"]) for m in MARK.findall(self.tokens.sub(" ", text))}
        for around in members:
            if not (self.tokens.search(around["after"]) or any(m in around["after"] for m in marks)):
                raise _Differs(f"behind a message it writes {around['after']!r}, which a user could write, too")
        self.count(ours, marks)
        return sorted(marks)

    def count(self, ours, marks):
        """Refuses, as the compiler does, a message of the system that could be read as others: see checkSystem in runtime/tokens/huggingface."""

        def n(*texts):
            return sum(len(self.tokens.findall(t)) + sum(t.count(m) for m in marks) for t in texts)

        if "system" not in ours:
            return
        s, a = ours["system"], ours.get("answer")
        more = n(s["before"], s["after"]) - n(ours["before"])
        if more == 0:
            of_its_own = len(ours["before"]) >= len(s["before"] + s["after"])
            if not (of_its_own and ours["before"].startswith(s["before"]) and ours["before"].endswith(s["after"])):
                raise _Differs("a message of the system could be a part of the user's")
        elif a and more % n(ours["after"], a["before"], a["after"]) == 0:
            raise _Differs("a message of the system could be one of the user")

    def probes(self, ours):
        """Contents: plain ones, white space, and every text of the template's source, which it may look for. None holds what makes turns."""
        found = {m.group(2) for m in re.finditer(r"""(['"])((?:(?!\1)[^\\\n])+)\1""", self.source)}
        texts = ["x", "", " ", " x", "x \n", "\tx", "a\n\nb", "{{ x }}", "<b>\"&'</b>", "Grüße, 世界 🙂", "\x1cx\x1f", "[1]", "{}", "true"]
        for t in sorted(found):
            texts += [t, f"x{t}y", f"{t}y", f"x{t}"]
        makes_turns = [*ours["marks"], ours["end"]]
        return [t for t in texts if not self.tokens_of_turns(ours, t) and not any(m in t for m in makes_turns)]

    def tokens_of_turns(self, ours, text):
        special = set(self.tokenizer.all_special_tokens)
        members = [ours, *(ours[m] for m in ("answer", "system") if m in ours)]
        own = {t for around in members for side in ("before", "after") for t in self.tokens.findall(around[side])}
        return any(t in special | own for t in self.tokens.findall(text))

    def compare(self, ours, shapes):
        """Renders conversations of these roles with every content at every place, and all places at once."""
        probes = self.probes(ours)
        for roles in shapes:
            plain = [f"w{i}" for i in range(len(roles))]
            places = ([*plain[:i], p, *plain[i + 1:]] for i, p in itertools.product(range(len(roles)), probes))
            turned = ([probes[(i + k) % len(probes)] for k in range(len(roles))] for i in range(len(probes)))
            for contents in itertools.chain(places, turned):
                messages = [{"role": r, "content": c} for r, c in zip(roles, contents)]
                if self.render(messages) != rendered(ours, messages):
                    raise _Differs(f"it writes more than fixed texts around messages: see what it makes of {messages!r}")


def _named(messages):
    return "conversation of " + ", ".join(m["role"] for m in messages)


def rendered(ours, messages):
    """The text that a template of ours makes of a conversation, as (*chat).ids does in Go."""
    text, behind = ours["before"], ""
    for m in messages:
        content = m["content"].strip() if ours.get("trim") else m["content"]
        if m["role"] == "system":
            text, behind = ours["system"]["before"] + content, ours["system"]["after"]
        elif m["role"] == "assistant":
            text, behind = text + behind + ours["answer"]["before"] + content, ours["answer"]["after"]
        else:
            text, behind = text + behind + content, ours["after"]
    return text + behind

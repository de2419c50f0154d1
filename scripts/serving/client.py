"""Asks a server of zkllmc by OpenAI's client, as it comes: client.py URL TOKEN FOLDER. FOLDER gets a conversation and the name of its proof."""

import json
import pathlib
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)

names = [m.id for m in client.models.list()]
assert sorted(names) == ["chat", "sums"], names
assert client.models.retrieve("sums").owned_by == "zkllmc"

chat = client.chat.completions.create(model="sums", messages=[{"role": "user", "content": "327+458="}])
assert chat.choices[0].message.content == "785", chat
assert chat.choices[0].finish_reason == "stop"
assert chat.usage.total_tokens == 12
assert chat.proof["id"].startswith("proof-"), chat

raw = client.chat.completions.with_raw_response.create(model="sums", messages=[{"role": "user", "content": "1+2="}], temperature=0)
assert raw.headers["proof-id"] == raw.parse().proof["id"]

said, last = "", None
for chunk in client.chat.completions.create(
    model="sums", messages=[{"role": "user", "content": "327+458="}], stream=True, stream_options={"include_usage": True}
):
    for choice in chunk.choices:
        said += choice.delta.content or ""
        last = choice.finish_reason
assert said == "785" and last == "stop", (said, last)
assert chunk.usage.completion_tokens == 4

# Two turns: what the model answered goes back as it came.
messages = [{"role": "user", "content": "3+4"}]
first = client.chat.completions.create(model="chat", messages=messages)
assert first.choices[0].message.content == "7", first
messages += [first.choices[0].message, {"role": "user", "content": "5+6"}]
second = client.chat.completions.create(model="chat", messages=messages)
assert second.usage.prompt_tokens == len("3+4=7;5+6="), second
folder = pathlib.Path(sys.argv[3])
history = [m if isinstance(m, dict) else m.model_dump(exclude_unset=True) for m in messages]
(folder / "messages.json").write_text(json.dumps(history))
(folder / "changed.json").write_text(json.dumps([*history[:1], {"role": "assistant", "content": "8"}, *history[2:]]))
(folder / "chat.proof").write_text(second.proof["id"])
for wrong in ([*messages, messages[-1]], [messages[0], messages[1]], [{"role": "tool", "content": "1", "tool_call_id": "a"}]):
    try:
        client.chat.completions.create(model="chat", messages=wrong)
    except openai.BadRequestError as e:
        assert e.param == "messages", e
    else:
        raise AssertionError(f"{wrong} was not refused")

text = client.completions.create(model="sums", prompt="10+20=", max_tokens=1)
assert text.choices[0].text == "3" and text.choices[0].finish_reason == "length", text
said = "".join(c.text for chunk in client.completions.create(model="sums", prompt="10+20=", stream=True) for c in chunk.choices)
assert said == "30", said

for wrong, param in [({"temperature": 0.7}, "temperature"), ({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"stop": ["1"]}, "stop")]:
    try:
        client.chat.completions.create(model="sums", messages=[{"role": "user", "content": "1+2="}], **wrong)
    except openai.BadRequestError as e:
        assert e.param == param, e
    else:
        raise AssertionError(f"{wrong} was not refused")

for what, kind in [
    (lambda: client.completions.create(model="other", prompt="1+2="), openai.NotFoundError),
    (lambda: client.embeddings.create(model="sums", input="1"), openai.BadRequestError),
    (lambda: openai.OpenAI(base_url=sys.argv[1], api_key="wrong", max_retries=0).models.list(), openai.AuthenticationError),
]:
    try:
        what()
    except kind:
        pass
    else:
        raise AssertionError(f"no {kind.__name__}")

print(f"openai {openai.__version__}: models, chats of several turns, completions, streams and errors are as it expects them")

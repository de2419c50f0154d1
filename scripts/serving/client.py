"""Asks a server of zkllmc by OpenAI's client, as it comes: client.py URL TOKEN."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)

names = [m.id for m in client.models.list()]
assert names == ["sums"], names
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

print(f"openai {openai.__version__}: models, chats, completions, streams and errors are as it expects them")

"""python3 chats.py TOKENIZERS: writes chats.json, what apply_chat_template of transformers makes of prompts with the chat templates that come
with the models: their text, and for every TOKENIZERS/NAME.json that is there the tokens; and conversations.json, the same of conversations of
several turns. Needs transformers==5.24.0, jinja2."""

import json
import pathlib
import sys

from transformers import PreTrainedTokenizerFast

CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
END = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
TEMPLATES = {
    "chatml": CHATML + END,
    "smollm2": CHATML.replace("%}{{", "%}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI "
                              "assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{", 1) + END,
    "llama2": "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}"
              "{% elif message['role'] == 'assistant' %}{{ ' '  + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] "
              "| trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "gemma": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
             "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
}
EOS = {"llama2": "</s>"}
BOS = {"llama2": "<s>", "llama3": "<|begin_of_text|>", "gemma": "<bos>"}
PROMPTS = ["What is the capital of France? Answer in one word.", "", " ", "\n\nleading\n", "  two  spaces  ", "naïve 日本語 👩‍🚀 'twas", "a\tb\r\nc",
           "<b>html</b>", "x" * 40, "\u3000full\u00a0width\u2003"]
# Contents of messages in turn, the user's first; "" for the system's: there is none.
TURNS = [["", "What is the capital of France?", "The capital of France is Paris.", "And of Italy?"], ["", " a ", "\n\nb\n", "  c", "", "naïve 日本語 👩‍🚀 'twas"],
         ["", "a", "b", "c", "d", "e", "f", "g"]]
SYSTEMS = [["You answer in one word.", "What is the capital of France?"], ["  Be\n brief. ", "a\tb", "x" * 40, "\r\n?"]]  # but of llama2 and gemma

folder = pathlib.Path(sys.argv[1])
out, conversations = [], []
for name, template in TEMPLATES.items():
    path = folder / f"{name}.json"
    if not path.exists():
        continue
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path), bos_token=BOS.get(name), eos_token=EOS.get(name))
    tokenizer.chat_template = template
    for prompt in PROMPTS:
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        out.append({"template": name, "prompt": prompt, "text": text, "ids": list(ids)})
    for turns in TURNS + (SYSTEMS if name not in ("llama2", "gemma") else []):
        chat = [{"role": "system", "content": turns[0]}] if turns[0] else []
        chat += [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(turns[1:])]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        conversations.append({"template": name, "messages": chat, "text": text, "ids": list(ids)})
with open("chats.json", "w") as f:
    json.dump(out, f, ensure_ascii=False, indent=1)
with open("conversations.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in conversations) + "\n]\n")
print(len(out), len(conversations))

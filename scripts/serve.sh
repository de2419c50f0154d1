#!/bin/sh
# Makes a provider's folder of the sample model in build/serve, and runs scripts/serving on it: serve.sh demo, openai or load. Needs go; openai
# needs python3, and fetches the client, pinned in scripts/serving/requirements.txt, into an environment of its own.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
OUT=build/serve
say() { printf '\n== %s\n' "$*"; }

rm -rf "$OUT/sums" "$OUT/chat" "$OUT/state"
mkdir -p "$OUT/bin"
say "build, compile models/sums, set up its keys, make the customers' bundle"
"$GO" build -o "$OUT/bin/" . ./cmd/zkllmc-verifier ./scripts/serving
"$OUT/bin/zkllmc" compile models/sums/model.onnx -o "$OUT/sums" --reveal argmax --tokenizer models/sums/vocab.json >"$OUT/compile.txt" 2>&1 || { cat "$OUT/compile.txt"; exit 1; }
"$GO" build -o "$OUT/bin/prover" "./$OUT/sums/cmd/prover"
"$OUT/bin/prover" setup --weights "$OUT/sums/weights.zkw" -o "$OUT/sums/keys" 2>/dev/null
"$OUT/bin/zkllmc" bundle "$OUT/sums" --vk "$OUT/sums/keys/model.vk" --force -o "$OUT/sums.bundle" >/dev/null 2>&1
"$OUT/bin/zkllmc-verifier" --bundle "$OUT/sums.bundle" accept --force --save "$OUT/sums.id"
echo 'demo demo-0123456789-0123456789' >"$OUT/tokens"

case $1 in
openai)
	say "the same model as one of chats, with a template of several turns"
	"$OUT/bin/zkllmc" compile models/sums/model.onnx -o "$OUT/chat" --reveal argmax --tokenizer scripts/serving/tokenizer.json --chat scripts/serving/template.json \
		>"$OUT/compile.txt" 2>&1 || { cat "$OUT/compile.txt"; exit 1; }
	"$GO" build -o "$OUT/bin/prover-chat" "./$OUT/chat/cmd/prover"
	"$OUT/bin/prover-chat" setup --weights "$OUT/chat/weights.zkw" -o "$OUT/chat/keys" 2>/dev/null
	"$OUT/bin/zkllmc" bundle "$OUT/chat" --vk "$OUT/chat/keys/model.vk" --force -o "$OUT/chat.bundle" >/dev/null 2>&1
	"$OUT/bin/zkllmc-verifier" --bundle "$OUT/chat.bundle" accept --force --save "$OUT/chat.id"
	say "OpenAI's client for Python"
	[ -x "$OUT/venv/bin/python" ] || python3 -m venv "$OUT/venv"
	"$OUT/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r scripts/serving/requirements.txt
	"$OUT/bin/serving" -dir "$OUT" -python "$OUT/venv/bin/python" openai
	rm -rf "$OUT/chat"
	say "a cluster of three NATS servers"
	"$OUT/bin/serving" -dir "$OUT" cluster
	;;
load)
	say "load and kills"
	"$OUT/bin/serving" -dir "$OUT" -clients "${CLIENTS:-200}" -time "${TIME:-60s}" -kills "${KILLS:-10}" load
	;;
*)
	rm -rf "$OUT/page"
	if command -v npm >/dev/null && command -v xz >/dev/null; then
		say "build the page on which customers check proofs"
		OUT=$OUT/page GO=$GO scripts/page.sh
		cp "$OUT/sums.bundle" "$OUT/page/"
	else
		echo "there is no npm or no xz, which the page on which customers check proofs is packed with: without it"
	fi
	"$OUT/bin/serving" -dir "$OUT" "$1"
	;;
esac

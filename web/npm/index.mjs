// The verifier of zkllmc for JavaScript: see index.d.ts.
import "./wasm_exec.js"; // Go's own; defines globalThis.Go
import { XzReadableStream } from "./xz.mjs";

// unwrap returns what a function of the verifier gives, or throws what it says is wrong.
function unwrap(result) {
  if (result.error !== undefined) throw new Error(result.error);
  return result.value;
}

// given refuses what a caller may take for something that is compared: a name that is not known, and one without a value.
function given(what, options, names) {
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) throw new TypeError(`${what}: there is no option ${name}`);
    if (value === undefined || value === null) throw new TypeError(`${what}: ${name} has no value; leave it out where nothing is to be compared`);
  }
}

// program reads the verifier where load is given none: beside this file, compressed.
async function program() {
  const url = new URL("zkllmc.wasm.xz", import.meta.url);
  let packed;
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    packed = new Blob([await readFile(url)]).stream();
  } else {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
    packed = response.body;
  }
  return new Response(new XzReadableStream(packed)).arrayBuffer();
}

export async function load(wasm, options = {}) {
  given("load", options, ["generators"]);
  const go = new globalThis.Go();
  const { instance } = await WebAssembly.instantiate(wasm ?? (await program()), go.importObject);
  const stopped = go.run(instance); // sets the global before it first waits
  const verifier = globalThis.zkllmcVerifier;
  delete globalThis.zkllmcVerifier;
  let ended = false;
  stopped.then(() => { ended = true; });
  const call = (f, ...args) => {
    if (ended) throw new Error("the verifier has ended, out of memory as a rule: load it again");
    return unwrap(f(...args));
  };
  if ("generators" in options) call(verifier.keep, options.generators);
  return {
    version: verifier.version,
    open(bundle, options = {}) {
      given("open", options, ["id"]);
      const model = call(verifier.open, bundle, "id" in options ? options.id : null);
      return {
        id: model.id,
        card: JSON.parse(model.card),
        verify(statement, proof, question = {}) {
          given("verify", question, ["prompt", "messages", "answer", "text", "no_saturation"]);
          return JSON.parse(call(model.verify, statement, proof, JSON.stringify(question)));
        },
      };
    },
  };
}

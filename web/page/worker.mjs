// The verifier, in a thread of its own. A message has a number, files, the ID and the question;
// replies have its number, and say how far it is, a report, or what is wrong with the bundle.
import { load } from "./zkllmc/index.mjs";

// Generators, which take seconds to derive for a large model, lie beside the page. They are asked for while the verifier computes, which
// waits; where one is missing, or is not what it should be, it is derived.
const generators = {
  get(name) {
    try {
      const request = new XMLHttpRequest();
      request.open("GET", new URL("generators/" + encodeURIComponent(name), import.meta.url), false);
      request.responseType = "arraybuffer";
      request.send();
      return request.status === 200 ? new Uint8Array(request.response) : undefined;
    } catch {
      return undefined;
    }
  },
  set() {},
};

const loading = load(null, { generators });
let opened; // the last bundle with its ID, which many proofs may be about

function open(verifier, bundle, id) {
  const same = opened && opened.id === id && opened.bundle.length === bundle.length && opened.bundle.every((b, i) => b === bundle[i]);
  if (!same) opened = { bundle, id, model: verifier.open(bundle, id === undefined ? {} : { id }) };
  return opened.model;
}

onmessage = async ({ data: { number, bundle, statement, proof, id, question } }) => {
  const reply = what => postMessage({ number, ...what });
  try {
    const verifier = await loading;
    reply({ step: "Reading the bundle" + (id === undefined ? ", and verifying the range proof of its key" : "") + " …", version: verifier.version });
    const model = open(verifier, bundle, id);
    reply({ step: "Verifying the proof …" });
    reply({ report: model.verify(statement, proof, question), card: model.card });
  } catch (e) {
    reply({ error: e.message });
  }
};

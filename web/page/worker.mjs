// The verifier, in a thread of its own. A message has files, the ID and the question; the reply is a report, or what is wrong with the bundle.
import { load } from "./zkllmc/index.mjs";

const loading = load();
let opened; // the last bundle with its ID, which many proofs may be about

function open(verifier, bundle, id) {
  const same = opened && opened.id === id && opened.bundle.length === bundle.length && opened.bundle.every((b, i) => b === bundle[i]);
  if (!same) opened = { bundle, id, model: verifier.open(bundle, id === undefined ? {} : { id }) };
  return opened.model;
}

onmessage = async ({ data: { bundle, statement, proof, id, question } }) => {
  try {
    const verifier = await loading;
    postMessage({ step: "Reading the bundle" + (id === undefined ? ", and verifying the range proof of its key" : "") + " …", version: verifier.version });
    const model = open(verifier, bundle, id);
    postMessage({ step: "Verifying the proof …" });
    postMessage({ report: model.verify(statement, proof, question), card: model.card });
  } catch (e) {
    postMessage({ error: e.message });
  }
};

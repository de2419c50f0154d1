// The verifier, in a thread of its own. A message has a number, files, the ID and the question;
// replies have its number, and say how far it is, a report, or what is wrong with the bundle.
import { load } from "./zkllmc/index.mjs";

const loading = load();
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

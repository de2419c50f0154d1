// The page: collects files, hands them to the worker, shows what it says.
import { turns } from "./turns.mjs";
import { reason, said } from "./words.mjs";

const $ = id => document.getElementById(id);
const files = {}; // by kind: { name, bytes }
const limit = 1 << 30; // bytes of a file

// What files begin with; a bundle is a ZIP archive.
const kinds = { "PK\x03\x04": "bundle", "zkllm-st": "statement", "zkllm-pf": "proof" };
const others = { "zkllm-vk": "a verifying key, which its model's bundle holds", "zkllm-pk": "a prover's key, which is secret: it does not belong here",
  "zkllm-ci": "a circuit, which its model's bundle holds", "zkllm-wt": "weights, which are secret: they do not belong here" };

function add(name, bytes) {
  const head = String.fromCharCode(...bytes.subarray(0, 8));
  const kind = kinds[head] ?? kinds[head.slice(0, 4)];
  if (!kind) return `${name} is ${others[head] ?? "neither a bundle nor a statement nor a proof"}.`;
  changed();
  files[kind] = { name, bytes };
  const entry = document.querySelector(`[data-kind="${kind}"] span`);
  entry.textContent = `${name}, ${bytes.length.toLocaleString("en")} bytes`;
  idle("");
  return "";
}

async function addFiles(list) {
  const wrong = [];
  for (const f of list) {
    if (f.size > limit) wrong.push(`${f.name} is too large.`);
    else wrong.push(add(f.name, new Uint8Array(await f.arrayBuffer())));
  }
  $("status").textContent = wrong.filter(Boolean).join(" ");
}

$("files").addEventListener("change", e => addFiles(e.target.files));
for (const type of ["dragenter", "dragover"]) addEventListener(type, e => { e.preventDefault(); $("drop").classList.add("over"); });
for (const type of ["dragleave", "drop"]) addEventListener(type, e => { e.preventDefault(); $("drop").classList.remove("over"); });
addEventListener("drop", e => addFiles(e.dataTransfer.files));

let worker, running = 0; // the number of the check whose reply is waited for, 0 if none is

// changed forgets what was said of other files or another question, and ends a check of those.
function changed() {
  $("result").hidden = true;
  if (running) stop("");
}

function stop(text) {
  worker?.terminate();
  worker = undefined;
  running = 0;
  idle(text);
}

function idle(text) {
  $("status").textContent = text;
  $("cancel").hidden = true;
  $("check").disabled = !(files.bundle && files.statement && files.proof);
}

$("cancel").addEventListener("click", () => stop("Cancelled."));

// Fields that a link filled in are not the user's until he writes into them.
const linked = new Set();
const fields = ["id", "prompt", "messages", "answer", "text"];
$("form").addEventListener("input", e => {
  if (e.target.id === "files") return;
  linked.delete(e.target.id);
  changed();
});

const showTurns = turns($("messages"), $("turns"), $("add"), $("unlisted"));

// question collects what is to be compared: a field that is empty is not. It throws where the conversation is no list.
function question() {
  const q = {};
  if ($("messages").value.trim() !== "") {
    q.messages = JSON.parse($("messages").value);
    if (!Array.isArray(q.messages)) throw new TypeError("want a list");
  }
  for (const name of ["prompt", "answer", "text"]) if ($(name).value !== "") q[name] = $(name).value;
  if ($("unclamped").checked) q.no_saturation = true;
  return q;
}

let checks = 0;

$("form").addEventListener("submit", e => {
  e.preventDefault();
  if (!running && !$("check").disabled) check();
});

// check asks the worker. What the reply is shown with is what was asked, whatever the fields have by then. An ID that came with a link is no
// trusted one: the key is verified as if there were none, and the ID compared afterwards.
function check() {
  try {
    question();
  } catch (e) {
    $("status").textContent = `The conversation is no list of messages in JSON: ${e.message}.`;
    return;
  }
  const number = running = ++checks;
  const id = $("id").value.trim().toLowerCase() || undefined, q = question();
  const asked = {
    id, trusted: id !== undefined && !linked.has("id"),
    yours: Object.keys(q).filter(k => k !== "no_saturation" && !linked.has(k)),
    links: Object.keys(q).filter(k => linked.has(k)),
  };
  $("result").hidden = true;
  $("check").disabled = true;
  $("cancel").hidden = false;
  $("status").textContent = "Loading the verifier …";
  worker ??= new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
  worker.onerror = e => stop(`The verifier ended: ${e.message || "this browser cannot load it"}.`);
  worker.onmessage = ({ data }) => {
    if (data.number !== running) return;
    if (data.version) $("version").textContent = `zkllmc ${data.version}`;
    if (data.step) { $("status").textContent = data.step; return; }
    running = 0;
    idle("");
    show(data, asked);
  };
  const { bundle, statement, proof } = files;
  worker.postMessage({ number, bundle: bundle.bytes, statement: statement.bytes, proof: proof.bytes, id: asked.trusted ? id : undefined, question: q });
}

function show({ report, card, error }, asked) {
  let accepted = report?.accepted === true;
  let why = report && !accepted ? `${reason(report)} (${report.error})` : "";
  if (error) why = `The bundle is not one to check proofs with: ${error}.`;
  if (accepted && asked.id !== undefined && asked.id !== report.model_id) {
    accepted = false;
    why = `The proof is about the model ${report.model_id}, which is not that of the link.`;
  }
  $("result").className = accepted ? "accepted" : "rejected";
  $("verdict").textContent = accepted ? "Accepted" : "Rejected";
  $("why").textContent = why;
  $("said").replaceChildren(...(accepted ? said(report, card, asked) : []));
  $("technical").hidden = !report;
  $("report").textContent = report ? JSON.stringify({ ...report, card }, null, 2) : "";
  $("result").hidden = false;
  $("result").scrollIntoView({ block: "nearest" });
}

// body reads a response, up to the limit.
async function body(response) {
  const parts = [];
  let size = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    if ((size += value.length) > limit) {
      await reader.cancel();
      throw new Error("it is too large");
    }
  }
}

// A link names files, and may fill in fields: #bundle=URL&statement=URL&proof=URL&id=…&prompt=…&messages=…&answer=…&text=…
async function follow() {
  changed();
  const link = new URLSearchParams(location.hash.slice(1));
  for (const name of fields) {
    if (link.has(name)) {
      $(name).value = link.get(name);
      linked.add(name);
    } else if (linked.delete(name)) {
      $(name).value = ""; // what an earlier link filled in
    }
  }
  showTurns();
  if (["prompt", "messages", "answer", "text"].some(n => link.has(n))) document.querySelector("form details").open = true;
  const named = ["bundle", "statement", "proof"].filter(n => link.has(n));
  $("linked").hidden = named.length === 0 && linked.size === 0;
  for (const name of named) {
    $("status").textContent = `Loading the ${name} …`;
    try {
      const url = new URL(link.get(name), location.href);
      if (!["https:", "http:"].includes(url.protocol)) throw new Error("a link to files has http or https");
      const response = await fetch(url, { credentials: "omit" });
      if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
      const wrong = add(url.pathname.split("/").pop(), await body(response));
      if (wrong) throw new Error(wrong);
    } catch (e) {
      $("status").textContent = `The ${name} of the link cannot be loaded: ${e.message}`;
      return;
    }
  }
  $("status").textContent = "";
}

follow();
addEventListener("hashchange", follow);

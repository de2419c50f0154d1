// What a report says in plain words. It makes elements with text in them, never HTML of what others wrote.

function element(name, ...children) {
  const e = document.createElement(name);
  e.append(...children);
  return e;
}

const paragraph = (...children) => element("p", ...children);

function warning(text) {
  const p = paragraph(text);
  p.className = "warning";
  return p;
}

const reasons = {
  "final argument": "The proof does not hold: these files do not show that the model computed this.",
  "protocol": "The proof does not hold: these files do not show that the model computed this.",
  "decoding": "A file is damaged, cut off or of another kind than it should be.",
  "statement": "The statement cannot be one about this model.",
  "circuit mismatch": "Statement and proof are about texts of different lengths: they do not belong together.",
  "model mismatch": "The proof is about another model.",
  "prompt mismatch": "The proof is about another prompt than yours.",
  "answer mismatch": "The proof is about another answer than the one you were told.",
  "text mismatch": "The proof is about another text than yours.",
  "unfinished": "The proof is about the beginning of an answer, which may go on in another way than you were told.",
  "saturation": "The proof holds, but it does not show that no value was clamped.",
  "question": "Your question does not fit this model.",
};

export function reason(report) {
  return reasons[report.class] ?? "The proof does not hold.";
}

// quoted shows a reading of tokens: its text, or the tokens spelled where a text would deceive.
function quoted(reading, tokens) {
  const quote = element("blockquote");
  if (reading?.text !== undefined) quote.append(reading.text);
  else quote.append(element("code", reading?.spelled ?? `tokens ${tokens.join(", ")}`));
  return quote;
}

const speakers = { system: "The system said", user: "The user said", assistant: "The model answered" };

// conversation shows messages, each with who said it.
function conversation(messages) {
  return messages.flatMap(m => [paragraph(speakers[m.role] ?? m.role), element("blockquote", m.content)]);
}

function generation(report) {
  const out = [];
  if (report.private_prompt) {
    out.push(paragraph(`It was asked a prompt of ${report.prompt_length} tokens, which the statement hides.`));
  } else if (report.texts?.prompt?.messages) {
    out.push(paragraph("It was asked in this conversation:"), ...conversation(report.texts.prompt.messages));
  } else {
    out.push(paragraph("It was asked"), quoted(report.texts?.prompt, report.prompt_tokens ?? []));
  }
  if (report.answer_tokens?.length) {
    out.push(paragraph(report.finished === false ? "and its answer begins with" : "and it answered"));
    out.push(quoted(report.texts?.answer, report.answer_tokens));
    if (report.finished === false) out.push(warning("This is not shown to be the whole answer: the model had not ended it."));
    if (report.end_inside) out.push(warning("The model had ended its answer before the last of these tokens."));
  }
  if (report.next_token !== undefined) {
    out.push(paragraph("Likeliest to follow is"), quoted(report.texts?.next, [report.next_token]));
  }
  return out;
}

const shown = 12; // values of a port; the report has all of them

function values(port) {
  if (port.reveals === "nothing" || port.values === undefined) return "hidden";
  const flat = port.values.flat(Infinity);
  const list = flat.slice(0, shown).join(", ") + (flat.length > shown ? `, … (${flat.length} values)` : "");
  return port.reveals === "argmax" ? `its greatest value stands at ${list}` : list;
}

function ports(report) {
  const table = element("table", element("tr", element("th", ""), element("th", "shape"), element("th", "values")));
  for (const p of report.ports) {
    table.append(element("tr", element("th", `${p.side} ${p.name}`), element("td", p.shape.join(" × ") || "one number"), element("td", values(p))));
  }
  return [paragraph("It computed of these inputs these outputs:"), table];
}

// own shows what the sender wrote so that nobody takes it for the page's words: alone, in one line, without what orders or hides characters.
function own(text) {
  const shown = text.replace(/[\p{C}\p{Z}]+/gu, " ").slice(0, 100);
  const quote = element("blockquote", element("bdi", shown + (shown.length < text.length ? " …" : "")));
  quote.className = "sender";
  return quote;
}

const named = field => (field === "messages" ? "conversation" : field);

/** What an accepted proof says. asked has the ID, whether the user gave it, and which fields are his and which are the link's. */
export function said(report, card, asked) {
  const out = [paragraph("A program with the ID ", element("code", report.model_id), " computed this. Whoever made the bundle calls it:"), own(card.name)];
  if (!asked.trusted) {
    const from = asked.id === undefined ? "You gave no ID." : "The ID is the link's, not yours.";
    out.push(warning(`${from} Compare this one with what somebody you trust has published: anybody can make a bundle of any model under any name.`));
  }
  out.push(...(report.ports ? ports(report) : generation(report)));
  if (asked.yours.length) out.push(paragraph(`That is the ${asked.yours.map(named).join(" and ")} you gave.`));
  if (asked.links.length) out.push(warning(`The ${asked.links.map(named).join(" and ")} it was compared with came with the link, not from you.`));
  out.push(paragraph(`Its ${card.hidden.weights.toLocaleString("en")} weights stay hidden. `,
    report.no_saturation ? "No value was clamped." : "Whether values were clamped, as the program may do, is not shown."));
  return out;
}

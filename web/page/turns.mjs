// The conversation as rows, one for every message, beside the field that has it in JSON: what is written into the one shows in the other.

const speakers = { system: "system", user: "you", assistant: "the model" };

// turns keeps rows and field alike. The field is what is compared; add makes a row.
export function turns(field, rows, add, note) {
  // list is what the field says, undefined where rows cannot show all of it.
  function list() {
    if (field.value.trim() === "") return [];
    try {
      const said = JSON.parse(field.value);
      const plain = m => Object.keys(m).sort().join() === "content,role" && Object.hasOwn(speakers, m.role) && typeof m.content === "string";
      return Array.isArray(said) && said.every(plain) ? said : undefined;
    } catch {
      return undefined;
    }
  }

  // write puts what the rows say into the field, as if somebody had written it there.
  function write() {
    const said = [...rows.children].map(r => ({ role: r.querySelector("select").value, content: r.querySelector("textarea").value }));
    field.value = said.length ? JSON.stringify(said) : "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function row({ role, content }) {
    const item = document.createElement("li"), who = document.createElement("select");
    for (const [value, name] of Object.entries(speakers)) who.add(new Option(name, value, false, value === role));
    who.ariaLabel = "who says it";
    const text = document.createElement("textarea");
    text.rows = 2;
    text.value = content;
    text.ariaLabel = "message";
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "Remove";
    remove.addEventListener("click", () => { item.remove(); write(); add.focus(); });
    who.addEventListener("input", write);
    text.addEventListener("input", write);
    item.append(who, remove, text);
    return item;
  }

  // show makes the rows anew, unless they say what the field says: then somebody is writing in them.
  function show() {
    const said = list();
    note.hidden = said !== undefined;
    add.disabled = said === undefined;
    if (said === undefined) field.closest("details").open = true;
    const shown = [...rows.children].map(r => ({ role: r.querySelector("select").value, content: r.querySelector("textarea").value }));
    if (JSON.stringify(shown) !== JSON.stringify(said?.map(({ role, content }) => ({ role, content })) ?? [])) rows.replaceChildren(...(said ?? []).map(row));
  }

  add.addEventListener("click", () => {
    const last = rows.lastElementChild?.querySelector("select").value;
    rows.append(row({ role: last === "user" ? "assistant" : "user", content: "" }));
    write();
    rows.lastElementChild.querySelector("textarea").focus();
  });
  field.addEventListener("input", show);
  return show;
}

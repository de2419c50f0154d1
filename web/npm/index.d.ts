/** What a statement tells of an input or output of a model. */
export interface Port {
  name: string;
  side: "input" | "output";
  elements: "ids" | "integers" | "booleans" | "reals";
  shape: number[];
  reveals: "values" | "argmax" | "nothing";
}

/** What the sender of a bundle says of a model. Circuit, ports, hidden and model_id agree with circuits and key; the rest is his word. */
export interface Card {
  version: 1;
  name: string;
  architecture?: string;
  about?: string;
  model_id: string;
  circuit: string;
  statement_kind: "generation" | "function";
  hidden: { weights: number; inputs?: string[]; outputs?: string[] };
  ports: Port[];
  /** How the integer program compares with the float model. */
  precision?: {
    ok: boolean;
    tolerance: number;
    inputs: number;
    positions?: number;
    max_error?: number;
    max_logit?: number;
    top1_agree?: number;
    clear_positions?: number;
    clear_agree?: number;
    outputs?: { name: string; max_error: number; max_value: number; least_cosine?: number }[];
  };
  tokenizer_sha256?: string;
  template_sha256?: string;
  made_by?: string;
  made_at: string;
  made_with: string;
}

/** What somebody said in a conversation, or the model answered. */
export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/**
 * What you asked and were told. A proof about anything else is rejected, and one about the beginning of an answer; what is missing is not
 * compared. Other names, and names without a value, are refused.
 */
export interface Question {
  /** Of a model that continues prompts. */
  prompt?: string;
  /**
   * In place of a prompt the whole conversation that the model answered: a message of the system, if there was one, then user and assistant in
   * turn, the user last. A proof about any other history is rejected.
   */
  messages?: Message[];
  answer?: string;
  /** Of a model that reads a text whole. */
  text?: string;
  /** Reject a proof that does not show that no value was clamped. */
  no_saturation?: boolean;
}

/** Tokens as text. The text is missing where it would deceive: then the tokens are spelled. */
export interface Reading {
  canonical: boolean;
  text?: string;
  spelled?: string;
}

/** Of a prompt. One that is a conversation of several messages has these, and no text. */
export interface PromptReading extends Reading {
  messages?: Message[];
}

/** Whether a proof is accepted, and of what; the members of `verifier verify --json`. */
export interface Report {
  accepted: boolean;
  /** The kind of error, if it is not. */
  class?: string;
  error?: string;
  model_id: string;
  circuit: string;
  no_saturation?: boolean;
  prompt_length?: number;
  private_prompt?: boolean;
  prompt_tokens?: number[];
  answer_tokens?: number[];
  next_token?: number;
  /** Whether the answer ends with the end token: if not, it is the beginning of the model's answer. */
  finished?: boolean;
  end_inside?: boolean;
  texts?: { tokenizer: string; prompt?: PromptReading; answer?: Reading; next?: Reading };
  /** Of a model that continues no prompt: what the statement tells of inputs and outputs. */
  ports?: (Port & { values?: unknown[]; matches?: boolean })[];
}

/** A model whose proofs can be checked. */
export interface Model {
  /** Compare it with the ID that you trust, unless you gave that to open. */
  readonly id: string;
  readonly card: Card;
  /** Throws only where arguments are of wrong types. Whatever is wrong with a proof stands in the report. */
  verify(statement: Uint8Array, proof: Uint8Array, question?: Question): Report;
}

export interface Verifier {
  /** Of zkllmc. */
  readonly version: string;
  /**
   * Reads a bundle. Give the ID that you trust: a bundle of another model is refused. Without it the range proof of the weights is verified,
   * which takes seconds for large models; then compare `id`. Throws what is wrong with the bundle.
   */
  open(bundle: Uint8Array, options?: { id?: string }): Model;
}

/**
 * Keeps generators by their names, a few files of some kilobytes to a megabyte; a Map does. Deriving those of a large model takes seconds, and
 * nothing that is kept is believed: every one is hashed again, so that false ones make proofs fail and never hold. Keep what set is given
 * (in IndexedDB, say, or a file) and give it to get the next time. Both are called while the verifier computes, and return at once.
 */
export interface Generators {
  get(name: string): Uint8Array | undefined;
  set(name: string, data: Uint8Array): unknown;
}

/**
 * Loads the verifier. It computes in the thread that calls: use it from a worker in pages.
 * @param wasm the program, WebAssembly as it is, if not the one beside this module, which is compressed
 */
export function load(wasm?: BufferSource | null, options?: { generators?: Generators }): Promise<Verifier>;

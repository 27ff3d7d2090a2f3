// Parses a stream of server-sent events (HTML standard, 9.2.6) as far as a fetch needs it. Pure.

export type ServerSentEvent = { readonly kind: "event"; readonly name: string; readonly data: string };
export type Comment = { readonly kind: "comment" };

/** Text goes in as it arrives; complete events and comments come out. */
export class ServerSentEventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];

  feed(text: string): (ServerSentEvent | Comment)[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/); // a "\r" at the end may be half of "\r\n"
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line: string): (ServerSentEvent | Comment)[] {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return [{ kind: "comment" }];
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    return [];
  }

  #dispatch(): ServerSentEvent[] {
    const [name, data] = [this.#name || "message", this.#data.join("\n")];
    const isEmpty = !this.#data.length;
    this.#name = "";
    this.#data = [];
    return isEmpty ? [] : [{ kind: "event", name, data }];
  }
}

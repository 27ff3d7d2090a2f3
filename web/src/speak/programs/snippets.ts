// What a program needs to speak with this server: its base URL, a request by curl, OpenAI's client. Knows no page.
export type Snippet = { readonly name: "baseUrl" | "python" | "curl"; readonly text: string };

/** A text between single quotes of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The snippets for a server, a name of its model and a voice; `needsKey`: the page itself sends one. */
export function snippets(origin: string, model: string, voice: string, needsKey: boolean): readonly Snippet[] {
  const baseUrl = `${origin}/v1`;
  const body = JSON.stringify({ model, voice, input: "Hello." });
  const header = needsKey ? ` \\\n  --header 'Authorization: Bearer KEY'` : "";
  const python = [
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${JSON.stringify(baseUrl)}, api_key="KEY")`,
    `speech = client.audio.speech.create(model=${JSON.stringify(model)}, voice=${JSON.stringify(voice)}, input="Hello.")`,
    `speech.write_to_file("hello.mp3")`,
  ];
  return [
    { name: "baseUrl", text: baseUrl },
    { name: "python", text: python.join("\n") },
    { name: "curl", text: `curl ${baseUrl}/audio/speech${header} \\\n  --json ${quoted(body)} --output hello.mp3` },
  ];
}

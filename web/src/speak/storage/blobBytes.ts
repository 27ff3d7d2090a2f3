// Entries with their Blobs as bytes, for browsers that store no Blob: WebKit's private windows. Pure.

type Bytes = { readonly blobType: string; readonly bytes: ArrayBuffer };
type Fields = Record<string, unknown>;

/** An entry with each Blob in it replaced by its bytes. */
export async function withBytes(value: unknown): Promise<unknown> {
  if (value instanceof Blob) return { blobType: value.type, bytes: await value.arrayBuffer() } satisfies Bytes;
  if (!isPlain(value)) return value;
  const fields = Object.entries(value).map(async ([name, field]) => [name, await withBytes(field)] as const);
  return Object.fromEntries(await Promise.all(fields));
}

/** The entry as it was before `withBytes`; one that was stored with its Blobs is itself. */
export function withBlobs(value: unknown): unknown {
  if (!isPlain(value)) return value;
  if (isBytes(value)) return new Blob([value.bytes], { type: value.blobType });
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withBlobs(field)]));
}

function isPlain(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isBytes(value: Fields): value is Bytes {
  return typeof value.blobType === "string" && value.bytes instanceof ArrayBuffer;
}

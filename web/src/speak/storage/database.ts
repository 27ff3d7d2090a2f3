// The browser's database of this page: finished speeches and voice previews. Knows IndexedDB; nothing leaves the browser.
import { withBlobs, withBytes } from "./blobBytes";
import { idsToDelete, type Limits, type Sized } from "./retention";

const NAME = "voxfleet";
const VERSION = 1;
const STORES = ["speeches", "previews"] as const;
export type StoreName = (typeof STORES)[number];

let opened: Promise<IDBDatabase> | null = null;

/** The result of one request, as a promise. */
function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    for (const store of STORES) request.result.createObjectStore(store, { keyPath: "id" });
  };
  return result(request).then((database) => {
    database.onversionchange = () => database.close(); // a tab with a later version may go on
    return database;
  });
}

async function objectStore(name: StoreName, mode: IDBTransactionMode): Promise<IDBObjectStore> {
  opened ??= open();
  try {
    return (await opened).transaction(name, mode).objectStore(name);
  } catch (error) {
    opened = null; // the next call opens it again
    throw error;
  }
}

export async function readAll<T>(name: StoreName): Promise<T[]> {
  const entries = await result((await objectStore(name, "readonly")).getAll());
  return entries.map((entry) => withBlobs(entry) as T);
}

export async function read<T>(name: StoreName, id: string): Promise<T | undefined> {
  return withBlobs(await result((await objectStore(name, "readonly")).get(id))) as T | undefined;
}

async function write(name: StoreName, entry: { readonly id: string }): Promise<void> {
  try {
    await result((await objectStore(name, "readwrite")).put(entry)); // with Blobs, which stay on disk when entries are read
  } catch {
    const bytes = await withBytes(entry); // first: a transaction ends while one waits for anything else
    await result((await objectStore(name, "readwrite")).put(bytes));
  }
}

export async function remove(name: StoreName, ids: readonly string[]): Promise<void> {
  const store = await objectStore(name, "readwrite");
  await Promise.all(ids.map((id) => result(store.delete(id))));
}

/** Write an entry and delete the oldest beyond the limits; whatever other tabs have stored counts too. */
export async function writeWithin(name: StoreName, entry: Sized, limits: Limits): Promise<void> {
  await write(name, entry);
  await remove(name, idsToDelete(await readAll<Sized>(name), limits));
}

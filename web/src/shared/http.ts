// Requests to the server that served this page, and what an error response says.
import { bearer, reportUnauthorized } from "./apiKey";

/** An error response in OpenAI's form: `message` names the field and the way out. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly field: string | null,
    readonly retryAfterSeconds: number | null,
  ) {
    super(message);
  }
}

/** Fetch a path of this server with the API key; raises ApiError for a status of 400 and above. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(bearer())) headers.set(name, value);
  const response = await fetch(path, { ...init, headers });
  if (!response.ok) throw await apiError(response);
  return response;
}

export async function requestJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await request(path, init)).json() as Promise<T>;
}

/** The error that a failed response means; a 401 is reported, so that the page leads to the key's field. */
export async function apiError(response: Response): Promise<ApiError> {
  if (response.status === 401) reportUnauthorized();
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `${response.status} ${response.statusText}`;
  return new ApiError(
    message,
    response.status,
    body?.error?.param ?? null,
    Number.isNaN(retryAfter) ? null : retryAfter,
  );
}

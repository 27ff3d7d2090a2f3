// What the server offers: models and voices, read once and again after a change. Knows the API's paths and forms.
import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { ApiError, request, requestJson } from "../shared/http";
import type { components } from "./generated/inference";

export type Model = components["schemas"]["Model"];
/** A gateway adds `status` and, for a voice that no pod could use, the `reason`. */
export type Voice = components["schemas"]["Voice"] & {
  readonly status?: "ready" | "pending" | "unusable";
  readonly reason?: string;
};
export type VoiceList = {
  readonly data: readonly Voice[];
  readonly aliases?: Readonly<Record<string, string>>;
};

const VOICES = "/v1/audio/voices";
const VOICES_KEY = ["catalog", "voices"];

/** Ask again after a failure of the network or the server, and not after a refusal: it would be the same. */
function isWorthARetry(failures: number, error: Error): boolean {
  const isRefusal = error instanceof ApiError && error.status < 500;
  return !isRefusal && failures < 3;
}

export const MODELS = queryOptions({
  queryKey: ["catalog", "models"],
  queryFn: async () => (await requestJson<{ data: Model[] }>("/v1/models")).data,
  retry: isWorthARetry,
});

export function useModels() {
  return useQuery(MODELS);
}

export function useVoices() {
  return useQuery({
    queryKey: VOICES_KEY,
    queryFn: () => requestJson<VoiceList>(VOICES),
    retry: isWorthARetry,
  });
}

export function useDeleteVoice() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request(`${VOICES}/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSettled: () => client.invalidateQueries({ queryKey: VOICES_KEY }),
  });
}

/** Whether a voice that was refused is not there any more; reads the list again to know it. */
export function useIsVoiceGone(isRefused: boolean, name: string): boolean {
  const client = useQueryClient();
  const voices = useVoices();
  useEffect(() => {
    if (isRefused) void client.invalidateQueries({ queryKey: VOICES_KEY });
  }, [client, isRefused]);
  return isRefused && voices.data !== undefined && resolveVoice(voices.data, name) === null;
}

/** Models without those that are other names of a listed one. */
export function distinctModels(models: readonly Model[]): readonly Model[] {
  const ids = new Set(models.map((model) => model.id));
  return models.filter((model) => model.root === undefined || model.root === model.id || !ids.has(model.root));
}

/** The model that a request names: the chosen one, else the server's first. */
export function modelName(chosen: string | null, models: readonly Model[] | undefined): string | null {
  return chosen ?? models?.[0]?.id ?? null;
}

/** The listed voice that a name means: an id, a name or an alias; null when there is none. */
export function resolveVoice(list: VoiceList, name: string): Voice | null {
  const meant = list.aliases?.[name] ?? name;
  return list.data.find((voice) => voice.id === meant) ?? list.data.find((voice) => voice.name === meant) ?? null;
}

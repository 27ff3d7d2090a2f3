// Fills in what a request must name and the settings leave open: the model, and a seed. Pure but for the drawn seed.
import type { SpeechSettings } from "../../settings/settings";

export type CompleteSettings = SpeechSettings & { readonly seed: number };
/** The server's first model: at once where it is known, since a request is sent sooner then. */
export type FirstModel = () => string | null | Promise<string | null>;

const SEEDS = 2 ** 32; // as many as the server draws from

/** The seed is drawn here and not by the server, so that it is known of a speech that was stopped or held, too. */
export function completeSettings(
  settings: SpeechSettings,
  firstModel: FirstModel,
): CompleteSettings | Promise<CompleteSettings> {
  const seed = settings.seed ?? Math.floor(Math.random() * SEEDS);
  const model = settings.model ?? firstModel();
  return model instanceof Promise
    ? model.then((name) => ({ ...settings, model: name, seed }))
    : { ...settings, model, seed };
}

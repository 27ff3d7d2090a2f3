// The words of a decision's reasons: codes with parameters, of which `seconds` is a duration. Pure; `t` gives the words.
import type { TFunction } from "i18next";
import { shortDuration } from "../figures";
import type { DecisionReason, FleetDecision } from "../types";

/** A code that a newer gateway sends is shown as it is. */
export function reasonText(t: TFunction<"fleet">, reason: DecisionReason): string {
  const params = Object.fromEntries(
    Object.entries(reason.params).map(([name, value]) => [
      name,
      typeof value === "number" ? shortDuration(t, value) : value,
    ]),
  );
  const because = reason.because ? { because: reasonText(t, reason.because) } : {};
  return t(`reasons.${reason.code}`, { ...params, ...because, defaultValue: reason.code });
}

/** Why the decision is what it is, and what it wakes, as one text: Chinese has no space between sentences. */
export function decisionText(
  t: TFunction<"fleet">,
  { reasons, wakes }: Pick<FleetDecision, "reasons" | "wakes">,
): string {
  const sentences = reasons.map((reason) => reasonText(t, reason));
  if (wakes.length > 0) sentences.push(t("decisions.wakes", { regions: wakes.join(", ") }));
  if (sentences.length === 0) return "";
  return sentences.reduce((before, next) => t("decisions.sentences", { before, next }));
}

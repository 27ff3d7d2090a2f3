import i18next, { type TFunction } from "i18next";
import { beforeAll, describe, expect, it } from "vitest";
import { decisionText, reasonText } from "../../src/fleet/decisions/reasons";
import type { DecisionReason } from "../../src/fleet/types";
import en from "../../src/locales/en/fleet.json";
import zh from "../../src/locales/zh/fleet.json";

beforeAll(async () => {
  await i18next.init({
    lng: "en",
    resources: { en: { fleet: en }, zh: { fleet: zh } },
    defaultNS: "fleet",
    interpolation: { escapeValue: false },
  });
});

const words = (language: string) => i18next.getFixedT(language, "fleet") as TFunction<"fleet">;
const reason = (code: string, params = {}, because: DecisionReason | null = null): DecisionReason => ({
  code,
  params,
  because,
});

describe("reasonText", () => {
  const spill = reason("spill-wake", { home: "eu", region: "us", seconds: 29.8 });

  it("is in the page's language, durations included", () => {
    expect(reasonText(words("en"), spill)).toBe(
      "eu is nearer, but asleep: us is expected to respond 29.8 s sooner than its wake ends.",
    );
    expect(reasonText(words("zh"), spill)).toBe("eu 更近，但在休眠：预计 us 比 eu 唤醒完成早 29.8 秒响应。");
  });

  it("names the reason that it refers to", () => {
    const failover = reason("failover", { nearest: "eu", region: "us" }, reason("failed", { failure: "no <GPU>" }));
    expect(reasonText(words("en"), failover)).toBe(
      "eu is nearer, but its last wake failed: no <GPU>; us is the next one.",
    );
    expect(reasonText(words("zh"), failover)).toBe("eu 更近，但上次唤醒失败：no <GPU>；改由下一个区域 us 处理。");
  });

  it("shows a code that it does not know", () => {
    expect(reasonText(words("zh"), reason("of-tomorrow", { region: "eu" }))).toBe("of-tomorrow");
  });

  it("leaves no placeholder and no English in Chinese", () => {
    const params = { region: "r", home: "r", nearest: "r", seconds: 2, fault: "f", failure: "f", countries: "DE" };
    for (const code of Object.keys(zh.reasons)) {
      const text = reasonText(words("zh"), reason(code, { ...params, country: "FR" }, reason("stale")));
      expect(text).not.toMatch(/\{\{|\}\}/);
      expect(text).toMatch(/[\u4e00-\u9fff]/);
    }
  });
});

describe("decisionText", () => {
  const decision = { reasons: [reason("waits"), reason("takes", { seconds: 30 })], wakes: ["eu"] };

  it("is one text that ends with what is woken, without spaces between Chinese sentences", () => {
    expect(decisionText(words("en"), decision)).toBe(
      "It can't serve yet, so the request waits. That takes about 30 s. It wakes eu.",
    );
    expect(decisionText(words("zh"), decision)).toBe("它暂时无法处理，请求需要等待。大约需要 30 秒。会唤醒 eu。");
  });

  it("names no wake where there is none", () => {
    expect(decisionText(words("en"), { ...decision, wakes: [] })).not.toContain("wakes");
  });

  it("is empty without reasons", () => {
    expect(decisionText(words("en"), { reasons: [], wakes: [] })).toBe("");
  });
});

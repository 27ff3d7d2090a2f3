// Example texts, which are spoken and so are in no locale: each is in its own language. Pure.

export type Example = {
  readonly name: "greeting" | "numbers" | "story" | "chinese" | "mixed";
  readonly languages: readonly string[];
  readonly text: string;
};

export const EXAMPLES: readonly Example[] = [
  {
    name: "greeting",
    languages: ["en"],
    text: "Good morning! Your coffee is ready, and the train leaves on time. Is there anything else you would like to know?",
  },
  {
    name: "numbers",
    languages: ["en"],
    text: "On 3 May 2026 the price rose by 12.5% to $1,249.99. Call +1 555 0100 before 5:30 pm, or write to Dr. Smith.",
  },
  {
    name: "story",
    languages: ["en"],
    text: "The lighthouse keeper counted the waves. One, two, three, and then a silence so long that he looked up.\n\nFar out on the water, a small light answered his own. He had waited eleven years for it.\n\n“So you came after all,” he said, and put the kettle on.",
  },
  {
    name: "chinese",
    languages: ["zh"],
    text: "今天天气很好，我们一起去公园散步吧。湖边的荷花已经开了，远远就能闻到清香。你想几点出发？",
  },
  {
    name: "mixed",
    languages: ["zh", "en"],
    text: "这个模型支持 streaming，第一个声音只要 200 毫秒。Let's try it together! 你准备好了吗？",
  },
];

/** The examples that a model can read; all of them where it names no languages. */
export function spokenExamples(languages: readonly string[] | undefined): readonly Example[] {
  if (!languages) return EXAMPLES;
  return EXAMPLES.filter((example) => example.languages.every((each) => languages.includes(each)));
}

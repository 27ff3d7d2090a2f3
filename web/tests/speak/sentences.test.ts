import { expect, test } from "vitest";
import { atClick, expectedSeconds, figuresOf, withAudio } from "../../src/speak/playback/engine/figures";
import { audibleSentence, SentenceLocator } from "../../src/speak/playback/engine/sentences";
import { EXAMPLES, spokenExamples } from "../../src/speak/playback/text/examples";

function located(text: string, sentences: string[]): (string | null)[] {
  const locator = new SentenceLocator(text);
  return sentences.map((sentence) => {
    const range = locator.next(sentence);
    return range && text.slice(range.start, range.stop);
  });
}

test("sentences are found where the server joined white space", () => {
  const text = "One\nline,  wrapped. Yes. Yes.\n\n今天\n很好。";
  expect(located(text, ["One line, wrapped.", "Yes.", "Yes.", "今天很好。"])).toEqual([
    "One\nline,  wrapped.",
    "Yes.",
    "Yes.",
    "今天\n很好。",
  ]);
});

test("sentences are found where the server removed syntax", () => {
  const text = "# Title\n\nRead the **bold** [guide](https://example.test/x) now. 🎉 Then rest.";
  expect(located(text, ["Title", "Read the bold guide now.", "Then rest."])).toEqual([
    "Title",
    "Read the **bold** [guide](https://example.test/x) now.",
    "Then rest.",
  ]);
});

test("a sentence that is not in the text leaves the place for the next one", () => {
  expect(located("First here. Second here.", ["Rewritten entirely.", "Second here."])).toEqual([null, "Second here."]);
  expect(located("Text.", [""])).toEqual([null]);
});

test("the audible sentence is the last that has started", () => {
  const sentences = [0, 2.5, 4].map((atSeconds, index) => ({ index, text: "", atSeconds }));
  expect([-0.1, 0, 2.49, 2.5, 99].map((seconds) => audibleSentence(sentences, seconds))).toEqual([-1, 0, 0, 1, 2]);
  expect(audibleSentence([], 3)).toBe(-1);
});

test("figures count from the click, and the real-time factor from the first audio", () => {
  let moments = { ...atClick(1000), firstByte: 1100 };
  expect(figuresOf(moments).realTimeFactor).toBeNull();
  moments = withAudio(moments, 0.16, 1150) as typeof moments;
  moments = withAudio(moments, 1, 1400) as typeof moments;
  expect(figuresOf({ ...moments, firstSound: 1200 })).toMatchObject({
    firstByteMilliseconds: 100,
    firstAudioMilliseconds: 150,
    firstSoundMilliseconds: 200,
    realTimeFactor: expect.closeTo(0.25),
  });
});

test("a Chinese character is expected to take three times as long as a Latin one", () => {
  expect(expectedSeconds("今天很好。", 1)).toBeCloseTo(expectedSeconds("abcdefghijklmno", 1));
  expect(expectedSeconds("abc", 2)).toBeCloseTo(expectedSeconds("abc", 1) / 2);
});

test("examples are offered in the languages of the model alone", () => {
  expect(spokenExamples(["en"]).flatMap((each) => each.languages)).not.toContain("zh");
  expect(spokenExamples(["zh", "en"])).toEqual(EXAMPLES);
  expect(spokenExamples(undefined)).toEqual(EXAMPLES);
});

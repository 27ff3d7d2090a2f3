// The text, with the sentence that is audible marked in it. A layer of the same text lies behind the field and carries the
// mark, because a textarea cannot; the field stays editable, and screen readers meet the text once. The layer has the text
// only while there is a mark, so that typing does nothing there; of a long text a new mark renders the blocks around it.
import { Input } from "@mantine/core";
import { useReducedMotion } from "@mantine/hooks";
import { memo, type RefObject, useEffect, useId, useLayoutEffect, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useSettings, useText } from "../../settings/SettingsContext";
import type { TextRange } from "../engine/sentences";
import { useSpeak } from "../useSpeak";
import classes from "./SpeechText.module.css";
import { TextTools } from "./TextTools";
import { type TextBlock, textBlocks } from "./textBlocks";

export function SpeechText() {
  const { t } = useTranslation("speak");
  const { change } = useSettings();
  const text = useText();
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const range = useAudibleRange(text);
  useFollowedScroll(field, layer, range);
  return (
    <Input.Wrapper label={t("text.label")} labelProps={{ htmlFor: id }}>
      <div className={classes.editor}>
        <div ref={layer} className={classes.layer} aria-hidden="true">
          {range && <MarkedText text={text} range={range} />}
        </div>
        <textarea
          ref={field}
          id={id}
          className={classes.field}
          value={text}
          placeholder={t("text.placeholder")}
          aria-describedby={`${id}-count`}
          rows={8}
          onDrop={(event) => {
            const file = event.dataTransfer.files[0];
            if (!file) return; // dropped text is the browser's business
            event.preventDefault(); // it would leave the page for the file
            void file.text().then((dropped) => change({ text: dropped }));
          }}
          onChange={(event) => change({ text: event.currentTarget.value })}
        />
      </div>
      <TextTools countId={`${id}-count`} />
    </Input.Wrapper>
  );
}

function MarkedText({ text, range }: { text: string; range: TextRange }) {
  const blocks = useMemo(() => textBlocks(text), [text]);
  return blocks.map((block) => {
    const from = Math.max(0, range.start - block.start);
    const until = Math.min(block.text.length, range.stop - block.start);
    const isMarked = from < until;
    return <Block key={block.start} block={block} from={isMarked ? from : 0} until={isMarked ? until : 0} />;
  });
}

const Block = memo(function Block({ block, from, until }: { block: TextBlock; from: number; until: number }) {
  return (
    <div>
      {block.text.slice(0, from)}
      {until > 0 && <mark className={classes.mark}>{block.text.slice(from, until)}</mark>}
      {block.text.slice(until)}
      {"\n" /* the line break at the end of a block, which is not part of it; of a last, empty line its height */}
    </div>
  );
});

/** The range of the audible sentence; null while the text is not the one that is spoken. */
function useAudibleRange(text: string): TextRange | null {
  const { state } = useSpeak();
  if (state.text !== text || state.audible < 0) return null;
  return state.ranges[state.audible] ?? null;
}

/** Keep the layer where the field is scrolled to, and the marked sentence in view. */
function useFollowedScroll(
  field: RefObject<HTMLTextAreaElement | null>,
  layer: RefObject<HTMLDivElement | null>,
  range: TextRange | null,
): void {
  const isReduced = useReducedMotion();
  useEffect(() => {
    const [from, to] = [field.current, layer.current];
    if (!from || !to) return;
    const follow = () => {
      to.scrollTop = from.scrollTop;
    };
    from.addEventListener("scroll", follow, { passive: true });
    return () => from.removeEventListener("scroll", follow);
  }, [field, layer]);
  useLayoutEffect(() => {
    const mark = layer.current?.querySelector("mark");
    if (!mark || !range || !field.current || !layer.current) return;
    layer.current.scrollTop = field.current.scrollTop;
    const { scrollTop, clientHeight } = field.current;
    const [top, bottom] = [mark.offsetTop, mark.offsetTop + mark.offsetHeight];
    if (top >= scrollTop && bottom <= scrollTop + clientHeight) return;
    field.current.scrollTo({ top: Math.max(0, top - clientHeight / 4), behavior: isReduced ? "instant" : "smooth" });
  }, [field, layer, range, isReduced]);
}

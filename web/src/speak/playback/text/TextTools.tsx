// What one does with a text as a whole: open a file, clear it, and see how long it is.
import { Button, FileButton, Group, Text } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { requestCharacters } from "../../../shared/served";
import { useSettled } from "../../../shared/useSettled";
import { useSettings, useText } from "../../settings/SettingsContext";
import { mostCharacters } from "../engine/long/longSpeech";
import { characterCount, textParts } from "../engine/long/textParts";
import classes from "./SpeechText.module.css";

const OF_REQUEST = requestCharacters();
const LIMIT = mostCharacters(OF_REQUEST);

export function TextTools({ countId }: { countId: string }) {
  const { t, i18n } = useTranslation("speak");
  const { change } = useSettings();
  const isEmpty = useText() === "";
  const text = useSettled(useText());
  const length = useMemo(() => characterCount(text), [text]);
  const number = (value: number) => value.toLocaleString(i18n.language);
  const open = async (file: File | null) => {
    if (file) change({ text: await file.text() });
  };
  return (
    <Group justify="space-between" gap="xs" mt={4}>
      <Group gap={4}>
        <FileButton onChange={open} accept=".txt,.md,text/plain,text/markdown">
          {(props) => (
            <Button {...props} size="compact-xs" variant="subtle" color="gray">
              {t("text.open")}
            </Button>
          )}
        </FileButton>
        <Button size="compact-xs" variant="subtle" color="gray" disabled={isEmpty} onClick={() => change({ text: "" })}>
          {t("text.clear")}
        </Button>
      </Group>
      <Text id={countId} size="xs" c={length > LIMIT ? "red" : "dimmed"} className={classes.count ?? ""}>
        {t("text.count", { shown: number(length), limit: number(LIMIT) })}
        {length > OF_REQUEST && length <= LIMIT && <Requests text={text} />}
      </Text>
    </Group>
  );
}

/** In how many requests a text is sent that is longer than one may be. */
function Requests({ text }: { text: string }) {
  const { t } = useTranslation("speak");
  const count = useMemo(() => textParts(text, OF_REQUEST).length, [text]);
  return <> · {t("text.requests", { count })}</>;
}

// Texts to begin with, in the languages that the model speaks; shown while there is no text.
import { Button, Group } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useModels } from "../../../api/catalog";
import { useSettings, useText } from "../../settings/SettingsContext";
import { spokenExamples } from "./examples";

export function ExampleTexts() {
  const { t } = useTranslation("speak");
  const { settings, change } = useSettings();
  const text = useText();
  const models = useModels().data;
  if (text !== "") return null;
  const model = models?.find((each) => settings.model === null || each.id === settings.model);
  return (
    <Group gap="xs">
      {spokenExamples(model?.languages).map((example) => (
        <Button
          key={example.name}
          size="compact-sm"
          variant="default"
          onClick={() => change({ text: example.text })}
          lang={example.languages[0]}
        >
          {t(`examples.${example.name}`)}
        </Button>
      ))}
    </Group>
  );
}

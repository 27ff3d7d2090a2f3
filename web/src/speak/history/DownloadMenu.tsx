// Saves a speech as a file: the audio as it was played, or made again by the server in another format.
import { ActionIcon, Button, Popover, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { request } from "../../shared/http";
import { requestCharacters } from "../../shared/served";
import { DownloadIcon } from "../clips/icons";
import { isWithin } from "../playback/engine/long/textParts";
import type { FinishedSpeech } from "../playback/finishedSpeech";
import { FORMATS, type Format } from "../settings/settings";
import { downloadBody, downloadName } from "./entries";

const INSTANT = { transitionProps: { duration: 0 } };

function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}

async function saveAgain(speech: FinishedSpeech, format: Format): Promise<void> {
  const response = await request("/v1/audio/speech", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(downloadBody(speech, format)),
  });
  save(await response.blob(), downloadName(speech, format));
}

export function useSaveAgain(speech: FinishedSpeech) {
  return useMutation({ mutationFn: (format: Format) => saveAgain(speech, format) });
}

type Props = { speech: FinishedSpeech; label: string; again: ReturnType<typeof useSaveAgain> };

export function DownloadMenu({ speech, label, again }: Props) {
  const { t, i18n } = useTranslation("history");
  const limit = requestCharacters().toLocaleString(i18n.language);
  const chosen = speech.settings.format;
  const isOneRequest = isWithin(speech.settings.text, requestCharacters()); // longer: the server makes no file of it
  const formats = isOneRequest ? [chosen, ...FORMATS.filter((format) => format !== chosen)] : []; // the chosen one is nearest
  const [isOpen, setIsOpen] = useState(false);
  const choose = (act: () => void) => () => {
    setIsOpen(false);
    act();
  };
  return (
    <Popover opened={isOpen} onChange={setIsOpen} position="bottom-end" trapFocus returnFocus {...INSTANT}>
      <Popover.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={label}
          loading={again.isPending}
          onClick={() => setIsOpen(!isOpen)}
        >
          <DownloadIcon />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label={label} p="xs" w="max-content">
        <Stack gap={4} align="stretch">
          <Choice onClick={choose(() => save(speech.audio, downloadName(speech, "wav")))}>
            {t("download.kept", { kilohertz: speech.sampleRate / 1000 })}
          </Choice>
          <Text size="xs" c="dimmed" mt={4}>
            {isOneRequest
              ? t(speech.isComplete ? "download.again" : "download.againWhole")
              : t("download.long", { limit })}
          </Text>
          {formats.map((format) => (
            <Choice key={format} onClick={choose(() => again.mutate(format))}>
              {t(`formats.${format}`, { ns: "settings" })}
            </Choice>
          ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function Choice({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <Button variant="subtle" size="sm" justify="flex-start" px="xs" fw={400} onClick={onClick}>
      {children}
    </Button>
  );
}

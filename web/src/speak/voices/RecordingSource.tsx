// Where a recording comes from: a file, chosen or dropped, or the microphone.
import { Button, FileButton, Group, Paper, Stack, Text } from "@mantine/core";
import { type DragEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { MicrophoneRecorder } from "./MicrophoneRecorder";

type Take = (recording: Blob, said?: string) => void;

export function RecordingSource({ take }: { take: Take }) {
  const { t } = useTranslation("voices");
  const [isOver, setIsOver] = useState(false);
  const forget = useRef<() => void>(null);
  const choose = (file: File | null) => {
    if (file) take(file);
    forget.current?.(); // or the same file, recorded again, would be no change
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  };
  return (
    <Paper
      withBorder
      p="md"
      bg={isOver ? "var(--mantine-primary-color-light)" : "transparent"}
      style={{ borderStyle: "dashed" }}
      onDragOver={(event) => {
        event.preventDefault(); // without it the browser opens the file
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <Stack gap="sm">
        <Text size="sm">{t("source.help")}</Text>
        <Group>
          <FileButton
            resetRef={forget}
            onChange={choose}
            accept="audio/*,video/*"
            inputProps={{ "aria-label": t("source.file") }}
          >
            {(props) => (
              <Button variant="default" {...props}>
                {t("source.file")}
              </Button>
            )}
          </FileButton>
          <Text size="sm" c="dimmed">
            {t("source.drop")}
          </Text>
        </Group>
        <MicrophoneRecorder take={take} />
      </Stack>
    </Paper>
  );
}

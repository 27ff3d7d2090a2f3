import { Container, Stack } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { PageHeader } from "../shared/PageHeader";
import { HistoryPanel } from "./history/HistoryPanel";
import { PlayerPanel } from "./playback/PlayerPanel";
import { SpeechEventsProvider } from "./playback/SpeechEventsContext";
import { SpeakProvider } from "./playback/useSpeak";
import { ProgramsPanel } from "./programs/ProgramsPanel";
import classes from "./SpeakPage.module.css";
import { SettingsProvider } from "./settings/SettingsContext";
import { SettingsPanel } from "./settings/SettingsPanel";
import { VoicePanel } from "./voices/VoicePanel";

export function SpeakPage() {
  const { t } = useTranslation("speak");
  return (
    <SettingsProvider>
      <SpeechEventsProvider>
        <SpeakProvider>
          <Container size="lg" pb="xl">
            <PageHeader title={t("title")} />
            <main className={classes.areas}>
              <div className={classes.player}>
                <PlayerPanel />
              </div>
              <Stack className={classes.side ?? ""}>
                <VoicePanel />
                <SettingsPanel />
                <ProgramsPanel />
              </Stack>
              <div className={classes.history}>
                <HistoryPanel />
              </div>
            </main>
          </Container>
        </SpeakProvider>
      </SpeechEventsProvider>
    </SettingsProvider>
  );
}

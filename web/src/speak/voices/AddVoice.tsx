// The dialog that adds a voice: of a recording, or drawn by a seed.
import { Modal, Tabs } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Voice } from "../../api/catalog";
import { useSettings } from "../settings/SettingsContext";
import { DesignedVoiceForm } from "./DesignedVoiceForm";
import { RecordedVoiceForm } from "./RecordedVoiceForm";

export function AddVoice({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation("voices");
  const { change } = useSettings();
  const queries = useQueryClient();
  const added = (voice: Voice) => {
    change({ voice: voice.id });
    void queries.invalidateQueries({ queryKey: ["catalog", "voices"] });
    close();
  };
  return (
    <Modal.Root opened={opened} onClose={close} size="lg" transitionProps={{ duration: 0 }}>
      <Modal.Overlay />
      <Modal.Content>
        {/* No second banner of the page, as <header> would be. */}
        <Modal.Header role="presentation">
          <Modal.Title>{t("add.title")}</Modal.Title>
          <Modal.CloseButton aria-label={t("add.close")} />
        </Modal.Header>
        <Modal.Body>
          <Tabs defaultValue="recording" keepMounted={false}>
            <Tabs.List mb="md">
              <Tabs.Tab value="recording">{t("add.recording")}</Tabs.Tab>
              <Tabs.Tab value="seed">{t("add.seed")}</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="recording">
              <RecordedVoiceForm added={added} />
            </Tabs.Panel>
            <Tabs.Panel value="seed">
              <DesignedVoiceForm added={added} />
            </Tabs.Panel>
          </Tabs>
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

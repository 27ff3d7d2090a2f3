// Copies a link that restores the settings, and shows what could not be restored from one.
import { Alert, Button, List, Popover, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { copied } from "../../shared/clipboard";
import type { Problem } from "./fields";
import { useSettings } from "./SettingsContext";
import type { SpeechSettings } from "./settings";
import { writeFragment } from "./shareLink";

function linkTo(settings: SpeechSettings): string {
  const { origin, pathname } = window.location;
  return `${origin}${pathname}#${writeFragment(settings)}`;
}

export function ShareLink() {
  const { t } = useTranslation("settings");
  const { settings, current } = useSettings();
  const [shared, setShared] = useState<{ link: string; isCopied: boolean } | null>(null);
  const share = async () => {
    const link = linkTo(current());
    setShared({ link, isCopied: await copied(link) });
  };
  return (
    <Popover
      opened={shared !== null}
      onDismiss={() => setShared(null)}
      width={300}
      trapFocus
      returnFocus
      transitionProps={{ duration: 0 }}
    >
      <Popover.Target>
        <Button variant="default" size="xs" onClick={share}>
          {t("share.button")}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t("share.button")}>
        <Text size="sm" role="status">
          {t(shared?.isCopied ? "share.copied" : "share.copyByHand")}
        </Text>
        <TextInput
          my="xs"
          size="xs"
          readOnly
          aria-label={t("share.link")}
          value={shared?.link ?? ""}
          onFocus={(event) => event.currentTarget.select()}
        />
        <Text size="xs" c="dimmed">
          {t(settings.seed === null ? "share.helpWithoutSeed" : "share.help")}
        </Text>
      </Popover.Dropdown>
    </Popover>
  );
}

function ProblemText({ problem }: { problem: Problem }) {
  const { t } = useTranslation("settings");
  return <>{t(`problems.${problem.kind}`, { ...problem })}</>;
}

export function LinkProblems() {
  const { t } = useTranslation("settings");
  const { linkProblems, dismissLinkProblems } = useSettings();
  if (linkProblems.length === 0) return null;
  return (
    <Alert
      color="orange"
      title={t("problems.title")}
      withCloseButton
      closeButtonLabel={t("problems.close")}
      onClose={dismissLinkProblems}
    >
      <List size="sm">
        {linkProblems.map((problem) => (
          <List.Item key={`${problem.name}=${problem.given}`}>
            <ProblemText problem={problem} />
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}

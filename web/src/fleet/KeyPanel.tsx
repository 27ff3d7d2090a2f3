// Asks for the API key where the gateway wants one.
import { Button, Card, Group, PasswordInput, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { apiKey, setApiKey } from "../shared/apiKey";

export function KeyPanel({ fault, onChange }: { fault: string; onChange: () => void }) {
  const { t } = useTranslation("fleet");
  const [typed, setTyped] = useState(apiKey);
  const use = (event: FormEvent) => {
    event.preventDefault();
    setApiKey(typed);
    onChange();
  };
  return (
    <Card component="section" withBorder>
      <Title order={2} size="h4" mb="sm">
        {t("key.title")}
      </Title>
      <form onSubmit={use}>
        <Group align="end">
          <PasswordInput
            flex={1}
            miw={220}
            label={t("key.label")}
            description={t("key.help")}
            error={fault || null}
            autoComplete="off"
            data-autofocus
            value={typed}
            visibilityToggleButtonProps={{ "aria-label": t("key.show") }}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          <Button type="submit">{t("key.use")}</Button>
        </Group>
      </form>
    </Card>
  );
}

// The API key. A response of 401 leads here: the field gets the focus and says what is wrong.
import { Button, Group, PasswordInput, Stack } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { apiKey, onUnauthorized, setApiKey } from "../../shared/apiKey";

/** Whether the last request was refused for its key, and what ends that. */
function useRefusal(lead: () => void): [boolean, () => void] {
  const [isRefused, setIsRefused] = useState(false);
  useEffect(
    () =>
      onUnauthorized(() => {
        setIsRefused(true);
        lead();
      }),
    [lead],
  );
  return [isRefused, () => setIsRefused(false)];
}

export function AccessKey() {
  const { t } = useTranslation("settings");
  const queries = useQueryClient();
  const field = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(apiKey);
  const [isSaved, setIsSaved] = useState(false);
  const lead = useRef(() => field.current?.focus()).current;
  const [isRefused, accept] = useRefusal(lead);
  const save = (event: FormEvent) => {
    event.preventDefault();
    setApiKey(typed);
    accept();
    setIsSaved(true);
    void queries.invalidateQueries(); // the lists of models and voices are another tenant's now
  };
  return (
    <Stack component="form" gap="xs" {...{ onSubmit: save }}>
      <Group align="end" gap="xs" wrap="nowrap">
        <PasswordInput
          ref={field}
          flex={1}
          label={t("key.label")}
          description={t("key.help")}
          error={isRefused ? t(apiKey() ? "key.refused" : "key.missing") : null}
          autoComplete="off"
          spellCheck={false}
          value={typed}
          visibilityToggleButtonProps={{ "aria-label": t("key.show") }}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setIsSaved(false);
          }}
        />
        <Button type="submit" variant="default">
          {t(isSaved ? "key.saved" : "key.save")}
        </Button>
      </Group>
    </Stack>
  );
}

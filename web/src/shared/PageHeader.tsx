// The bar at the top of each page: its title, language, light or dark.
import {
  ActionIcon,
  Group,
  SegmentedControl,
  Title,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { LANGUAGES, setLanguage } from "./translations";

export function PageHeader({ title, children }: { title: string; children?: ReactNode }) {
  const { t, i18n } = useTranslation("common");
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  return (
    <Group component="header" justify="space-between" py="md">
      <Title order={1} size="h3">
        {title}
      </Title>
      <Group gap="sm">
        {children}
        <SegmentedControl
          size="xs"
          aria-label={t("language")}
          value={i18n.language}
          onChange={setLanguage}
          data={LANGUAGES.map((language) => ({ value: language, label: t(`languages.${language}`) }))}
        />
        <ActionIcon
          variant="default"
          aria-label={t(scheme === "dark" ? "useLight" : "useDark")}
          onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
        >
          {scheme === "dark" ? "☀" : "☾"}
        </ActionIcon>
      </Group>
    </Group>
  );
}

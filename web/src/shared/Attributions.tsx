// The foot of a gateway's pages: the location databases whose licences ask to be named. Their names are not translated.
import { Anchor, Group } from "@mantine/core";
import type { Attribution } from "./served";

export function Attributions({ of }: { of: Attribution[] }) {
  if (!of.length) return null;
  return (
    <Group component="footer" justify="center" py="md">
      {of.map(({ text, url }) => (
        <Anchor key={url} href={url} size="xs" c="dimmed" target="_blank" rel="noreferrer">
          {text}
        </Anchor>
      ))}
    </Group>
  );
}

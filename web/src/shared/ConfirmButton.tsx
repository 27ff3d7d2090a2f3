// A button for what cannot be undone: the first press asks, the second does it; Escape or leaving takes it back.
import { Button, Popover, Stack, Text } from "@mantine/core";
import { type ReactElement, useState } from "react";

type Props = {
  question: string;
  confirm: string;
  onConfirm: () => void;
  children: (ask: () => void) => ReactElement; // the button that asks
};

export function ConfirmButton({ question, confirm, onConfirm, children }: Props) {
  const [isAsking, setIsAsking] = useState(false);
  return (
    <Popover
      opened={isAsking}
      onChange={setIsAsking}
      onDismiss={() => setIsAsking(false)}
      trapFocus
      returnFocus
      transitionProps={{ duration: 0 }}
    >
      <Popover.Target>{children(() => setIsAsking(true))}</Popover.Target>
      <Popover.Dropdown aria-label={question}>
        <Stack gap="xs" maw={240}>
          <Text size="sm">{question}</Text>
          <Button
            size="xs"
            color="red.9"
            onClick={() => {
              setIsAsking(false);
              onConfirm();
            }}
          >
            {confirm}
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

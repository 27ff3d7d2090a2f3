// Whether speech comes over WebRTC. It is of this browser and its network, so that no link and no preset has it.
import { Switch } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { useTranslation } from "react-i18next";

export function useRealTime(): [boolean, (isOn: boolean) => void] {
  const [isOn, setIsOn] = useLocalStorage({
    key: "voxfleet.realTime",
    defaultValue: false,
    getInitialValueInEffect: false,
  });
  return [isOn, setIsOn];
}

export function RealTimeSetting() {
  const { t } = useTranslation("settings");
  const [isOn, setIsOn] = useRealTime();
  return (
    <Switch
      label={t("realTime")}
      description={t("realTimeHelp")}
      checked={isOn}
      onChange={(event) => setIsOn(event.currentTarget.checked)}
    />
  );
}

// How fast the last speech was, and where it came from.
import { Tooltip, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { figuresOf } from "../engine/figures";
import { useSpeak } from "../useSpeak";
import classes from "./player.module.css";

export function LatencyFigures() {
  const { t, i18n } = useTranslation("speak");
  const { state } = useSpeak();
  if (!state.moments || state.phase === "idle") return null;
  if (state.phase === "failed" && state.moments.firstAudio === null) return null; // the fault says it all
  const figures = figuresOf(state.moments);
  const number = (value: number, digits = 0) =>
    value.toLocaleString(i18n.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const milliseconds = (value: number | null) => (value === null ? null : t("figures.ms", { value: number(value) }));
  const rows: [string, string | null][] = [
    ["firstByte", milliseconds(figures.firstByteMilliseconds)],
    ["firstAudio", milliseconds(figures.firstAudioMilliseconds)],
    ["firstSound", milliseconds(figures.firstSoundMilliseconds)],
    ["realTimeFactor", figures.realTimeFactor === null ? null : number(figures.realTimeFactor, 2)],
    ["underruns", number(state.underruns)],
    ...(state.waits ? ([["waits", number(state.waits)]] as [string, string][]) : []),
    ...(state.region ? ([["region", state.region]] as [string, string][]) : []),
    ...(state.route
      ? ([["route", t(`routes.${state.route}`, { ns: "fleet", defaultValue: state.route })]] as [string, string][])
      : []),
  ];
  return (
    <dl className={classes.figures} data-testid="figures">
      {rows.map(([name, value]) => (
        <div key={name} className={classes.figure}>
          <dt>
            <Tooltip
              label={t(`figures.${name}Hint`)}
              multiline
              maw={280}
              events={{ hover: true, focus: true, touch: true }}
            >
              {/* A button, so that the keyboard reaches what it means. */}
              <UnstyledButton fz="xs" c="dimmed" className={classes.hint ?? ""}>
                {t(`figures.${name}`)}
              </UnstyledButton>
            </Tooltip>
          </dt>
          <dd data-figure={name} className={classes.value}>
            {value ?? "–"}
          </dd>
        </div>
      ))}
    </dl>
  );
}

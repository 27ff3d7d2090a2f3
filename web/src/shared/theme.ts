import { createTheme, DEFAULT_THEME, type MantineColorsTuple } from "@mantine/core";

/** Mantine's shades with some replaced: its own text on them, or of them, has a contrast below 4.5. */
function shades(of: MantineColorsTuple, replaced: Readonly<Record<number, string>>): MantineColorsTuple {
  return of.map((shade, index) => replaced[index] ?? shade) as unknown as MantineColorsTuple;
}

export const theme = createTheme({
  primaryColor: "teal",
  primaryShade: 8, // text on it has a contrast of 4.5 or more in both schemes
  colors: {
    teal: shades(DEFAULT_THEME.colors.teal, { 8: "#087f5b", 9: "#06664a" }), // buttons, and text of light buttons
    orange: shades(DEFAULT_THEME.colors.orange, { 9: "#a8370a" }), // the title of an alert
    red: shades(DEFAULT_THEME.colors.red, { 6: "#d92b2b", 9: "#b32424" }), // a field's error, the title of an alert
    gray: shades(DEFAULT_THEME.colors.gray, { 6: "#646c74" }), // dimmed text
    dark: shades(DEFAULT_THEME.colors.dark, { 2: "#9b9b9b" }), // dimmed text of the dark scheme
  },
  autoContrast: true,
  respectReducedMotion: true,
  fontFamily: "system-ui, sans-serif",
});

// The clipboard, as far as the browser lets a page use it.
/** Copy a text; false where the browser has no clipboard for this page (it has one on HTTPS and localhost). */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

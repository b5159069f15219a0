/**
 * The address of a page that keeps its model behind the `#`. No DOM.
 */

/**
 * The same address with its model behind the `#`, where it was asked for as the page for whole files has it: `?model=iris`.
 * What stands behind the `#` already was chosen later, and stays.
 *
 * @param {string} href
 */
export function settled(href) {
  const url = new URL(href);
  const asked = url.searchParams.get("model");
  if (asked === null) return href;
  url.searchParams.delete("model");
  if (!url.hash) url.hash = encodeURIComponent(asked);
  return url.href;
}

/**
 * Files dropped on a page.
 */
import { useEffect, useRef, useState } from "preact/hooks";

/**
 * Files dropped anywhere on the page: beside the place for them, the browser would leave the page and open them.
 *
 * @param {(files: FileList) => void} onDrop
 * @returns {boolean} Whether files are held over the page.
 */
export function useDropped(onDrop) {
  const [over, setOver] = useState(false);
  const drop = useRef(onDrop);
  drop.current = onDrop;
  useEffect(() => {
    const leaving = new AbortController();
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ react) =>
      addEventListener(name, react, { signal: leaving.signal });
    on("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => event.relatedTarget === null && setOver(false));
    on("drop", (event) => {
      setOver(false);
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      drop.current(event.dataTransfer.files);
    });
    return () => leaving.abort();
  }, []);
  return over;
}

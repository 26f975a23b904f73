/** The page of a run: finds its parts, and ties them together for each lab. */

import { type Run } from "./data";
import { startLab } from "./lab";
import { theme } from "./theme";

function start(): void {
  const run = JSON.parse(document.getElementById("run")!.textContent!) as Run;
  const redraws: (() => void)[] = [];
  const started = new Set<number>();
  const sections = [...document.querySelectorAll<HTMLElement>("section.lab-page")];
  const show = (number: number) => {
    sections.forEach((section, place) => { section.hidden = place !== number; });
    if (started.has(number)) return;
    started.add(number);
    const shown = startLab(sections[number]!, run.labs[number]!);
    if (shown) redraws.push(() => shown.redraw());
  };
  const choice = document.querySelector<HTMLSelectElement>("#lab-choice");
  choice?.addEventListener("change", () => show(Number(choice.value)));
  if (sections.length) show(0);
  theme(() => redraws.forEach((redraw) => redraw()));
  copying();
  document.documentElement.dataset["ready"] = "yes";
}

function copying(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-copy]");
    const text = button && document.getElementById(button.dataset["copy"]!)?.textContent;
    if (!button || text == null) return;
    const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
    if (navigator.clipboard) void navigator.clipboard.writeText(text.trim()).then(done, () => { select(button.dataset["copy"]!); });
    else select(button.dataset["copy"]!);
  });
}

/** Where the browser lets no page copy, the text is marked for the reader to do it. */
function select(id: string): void {
  getSelection()?.selectAllChildren(document.getElementById(id)!);
}

start();

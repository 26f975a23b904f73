/** The page of a lab that is up: asks for what was measured last, and has the lab broken and mended. */

import type { Lab } from "./data";
import { make } from "./details";
import { type Shown, startLab } from "./lab";
import { theme } from "./theme";

interface Row { sign: string; who: string; words: string }
interface Entry { at: string; rows: Row[]; sum: string }
interface Fitting { id: string; title: string; places: string[] }
interface Answer { number: number; title: string; lines: string[]; bad: boolean }
interface State {
  revision: number; cells: number; measured: number; plan: number; now: string; busy: boolean; sum: string; ended: string;
  log: Entry[]; faults: Fitting[]; broken: string[]; answer: Answer | null; lab?: Lab;
}

const EVERY = 700, FLASHES = 3, FLASH = 320;
const KINDS: Record<string, string> = { "✗": "bad", "?": "open", "●": "ok", "◐": "mixed" };

class Page {
  private shown: Shown | undefined;
  private state: State | undefined;
  private answered = 0;
  private readonly parts = new Map<string, HTMLElement>();

  constructor() {
    document.querySelectorAll<HTMLElement>("[id]").forEach((one) => this.parts.set(one.id, one));
    theme(() => this.shown?.redraw());
    const fault = this.part<HTMLSelectElement>("fault");
    fault.addEventListener("change", () => this.offerPlaces());
    this.part("break").addEventListener("click", () => void this.ask({ what: "break", fault: fault.value, place: Number(this.part<HTMLSelectElement>("place").value) }));
    this.part("mend").addEventListener("click", () => void this.ask({ what: "mend" }));
    this.part("explain").addEventListener("click", () => void this.ask({ what: "explain" }));
    this.part("trace").addEventListener("click", () => {
      const names = this.shown?.chosen();
      if (names) void this.ask({ what: "trace", source: names[0], destination: names[1], how: this.shown?.how() ?? "" });
    });
  }

  private part<T extends HTMLElement>(id: string): T { return this.parts.get(id) as T; }

  /** Ask again and again what there is, for as long as somebody answers. */
  async follow(): Promise<void> {
    for (;;) {
      try {
        const { revision = 0, cells = 0 } = this.state ?? {};
        const answer = await fetch(`state?revision=${revision}&cells=${cells}`, { cache: "no-store" });
        if (answer.status === 200) this.take((await answer.json()) as State);
        else if (answer.status !== 204) throw new Error(answer.statusText);
      } catch {
        this.over("Nobody answers any more: the command has ended.");
        return;
      }
      if (this.state?.ended) return;
      await new Promise((done) => setTimeout(done, EVERY));
    }
  }

  private take(state: State): void {
    const before = this.state;
    if (before && before.plan !== state.plan) { location.reload(); return; }
    this.state = state;
    this.part("now").textContent = state.now;
    this.part("sum").textContent = state.sum;
    if (before?.log.length !== state.log.length || before.log.at(-1)?.at !== state.log.at(-1)?.at) this.log(state.log);
    if (before?.faults.length !== state.faults.length) this.offer(state.faults);
    this.part("broken").textContent = state.broken.length ? `Broken now: ${state.broken.join("; ")}` : "Nothing is broken on purpose.";
    for (const id of ["break", "mend", "explain", "trace"]) this.part<HTMLButtonElement>(id).disabled = state.busy;
    this.part<HTMLButtonElement>("break").disabled ||= !state.faults.length;
    this.part<HTMLButtonElement>("mend").disabled ||= !state.broken.length;
    if (state.lab) this.measured(state.lab, before !== undefined && before.measured !== state.measured);
    this.tracing();
    if (state.answer && state.answer.number !== this.answered) this.answer(state.answer);
    if (state.ended) this.over(state.ended);
    document.documentElement.dataset["measured"] = String(state.measured);
    document.documentElement.dataset["ready"] = "yes";
  }

  private measured(lab: Lab, again: boolean): void {
    if (!this.shown) {
      this.shown = startLab(document.querySelector<HTMLElement>("section.lab-page")!, { ...this.embedded(), ...lab }, () => this.tracing());
    } else {
      this.shown.renew({ ...this.embedded(), ...lab });
    }
    if (again && lab.changed.length) void this.flash(lab);
  }

  /** What doesn't change: the parts of the picture, and the ways in it. */
  private embedded(): Partial<Lab> { return JSON.parse(document.getElementById("run")!.textContent!) as Partial<Lab>; }

  private async flash(lab: Lab): Promise<void> {
    const square = lab.ends.length * lab.ends.length;
    const pairs = new Set(lab.changed.map((code) => code % square));
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (let number = 0; number < (still ? 1 : FLASHES); number++) {
      this.shown?.flash(pairs);
      await new Promise((done) => setTimeout(done, still ? 2 * FLASHES * FLASH : FLASH));
      this.shown?.flash(undefined);
      await new Promise((done) => setTimeout(done, FLASH));
    }
  }

  private log(entries: Entry[]): void {
    const told = [...entries].reverse().map((entry) => make("li", {},
      make("span", { class: "clock" }, entry.at),
      make("div", {}, ...entry.rows.map((row) => make("div", {},
        make("span", { class: `sign ${KINDS[row.sign] ?? "none"}`, "aria-hidden": "true" }, row.sign),
        make("strong", {}, ` ${row.who}`), `: ${row.words}`)), make("div", { class: "soft" }, entry.sum))));
    this.part("log").replaceChildren(...told);
  }

  private offer(faults: Fitting[]): void {
    const select = this.part<HTMLSelectElement>("fault");
    select.replaceChildren(...faults.map((fault) => new Option(fault.title, fault.id)));
    this.offerPlaces();
  }

  private offerPlaces(): void {
    const id = this.part<HTMLSelectElement>("fault").value;
    const places = this.state?.faults.find((fault) => fault.id === id)?.places ?? [];
    this.part<HTMLSelectElement>("place").replaceChildren(...places.map((place, number) => new Option(place, String(number))));
  }

  private tracing(): void {
    const names = this.shown?.chosen();
    const button = this.part<HTMLButtonElement>("trace");
    button.textContent = names ? `Trace ${names[0]} → ${names[1]}` : "Trace the chosen cell";
    button.disabled = !names || (this.state?.busy ?? true);
  }

  private answer(answer: Answer): void {
    this.answered = answer.number;
    const box = this.part("answer");
    box.hidden = false;
    box.classList.toggle("bad", answer.bad);
    box.replaceChildren(make("h3", {}, answer.title), make("pre", { class: "evidence", tabindex: "0" }, answer.lines.join("\n")));
  }

  private async ask(what: Record<string, unknown>): Promise<void> {
    const buttons = ["break", "mend", "explain", "trace"].map((id) => this.part<HTMLButtonElement>(id));
    buttons.forEach((button) => { button.disabled = true; });
    try {
      await fetch("ask", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(what) });
    } catch {
      this.over("Nobody answers any more: the command has ended.");
    }
  }

  private over(words: string): void {
    const banner = this.part("over");
    banner.hidden = false;
    banner.textContent = words;
    this.part("now").textContent = "ended";
    for (const id of ["break", "mend", "explain", "trace"]) this.part<HTMLButtonElement>(id).disabled = true;
  }
}

void new Page().follow();

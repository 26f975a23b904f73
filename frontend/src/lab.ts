/** A lab's part of a page: its matrix, filters, picture and the chosen cell, tied together. */

import { Cells, type Lab, Stand, asked } from "./data";
import { Details } from "./details";
import { type Chosen, type Filter, Matrix } from "./matrix";
import { Topology } from "./topology";

const STANDS: Record<string, Stand> = { differs: Stand.Differs, unmeasured: Stand.Unmeasured, reachable: Stand.Reachable, unreachable: Stand.Unreachable };

/** A lab's part of a page, once it has been started. */
export interface Shown {
  redraw(): void;
  /** Show the same lab as it was measured anew. */
  renew(lab: Lab): void;
  /** Ring some pairs, or none. */
  flash(pairs: Set<number> | undefined): void;
  /** The names of who asks and who is asked in the chosen cell; undefined where none is, or a block. */
  chosen(): [string, string] | undefined;
  /** The protocol or check that is shown alone; empty where all are. */
  how(): string;
}

export function startLab(section: HTMLElement, first: Lab, told: (names: [string, string] | undefined) => void = () => {}): Shown | undefined {
  const box = section.querySelector<HTMLElement>(".matrix");
  let lab = first;
  if (!box || !lab.layers.length) return undefined;
  let cells = new Cells(lab);
  const svg = section.querySelector<SVGElement>("svg.lab");
  const topology = svg ? new Topology(svg) : undefined;
  const hover = section.querySelector<HTMLElement>(".hover")!;
  const every = lab.layers.map((_, place) => place).filter((place) => lab.layers[place]!.kind === "reach");
  const all = every.length ? every : lab.layers.map((_, place) => place);
  const filter: Filter = { network: "", node: "", layers: all, stands: new Set(), retried: false, changed: false };
  let chosen: Chosen | undefined;
  const names = (): [string, string] | undefined => chosen?.rows.length === 1 && chosen.columns.length === 1
    ? [lab.ends[chosen.rows[0]!]!.name, lab.ends[chosen.columns[0]!]!.name] : undefined;
  const details: Details = new Details(section.querySelector<HTMLElement>(".details")!, cells, topology,
    (pair) => matrix.choosePair(pair), (keys) => { keys.forEach((key) => matrix.toggle(key)); folding(); });
  const matrix: Matrix = new Matrix(box, cells, { ...filter }, {
    choose: (one) => { chosen = one; details.show(one, filter.layers); told(names()); },
    hover: (words) => { hover.textContent = words || " "; },
  });
  details.show(undefined, filter.layers);

  const apply = () => { matrix.use({ ...filter, stands: new Set(filter.stands) }); if (chosen) details.show(chosen, filter.layers); };
  const picked = (name: string) => section.querySelector<HTMLSelectElement>(`select[name="${name}"]`);
  fill(picked("network"), [...new Set(lab.ends.map((end) => end.network ?? ""))].filter(Boolean));
  fill(picked("node"), [...new Set(lab.ends.map((end) => end.node))]);
  fill(picked("how"), lab.layers.map((layer) => asked(layer)));
  fill(picked("family"), [...new Set(lab.layers.map((layer) => `IPv${layer.family}`))]);
  section.querySelectorAll("select").forEach((select) => select.addEventListener("change", () => {
    filter.network = picked("network")?.value ?? "";
    filter.node = picked("node")?.value ?? "";
    const how = picked("how")?.value, family = picked("family")?.value;
    const asks = how ? lab.layers.map((_, place) => place).filter((place) => asked(lab.layers[place]!) === how) : all;
    filter.layers = asks.filter((place) => !family || `IPv${lab.layers[place]!.family}` === family);
    apply();
  }));
  const chips = [...section.querySelectorAll<HTMLButtonElement>("button[data-stand]")];
  const press = (chip: HTMLButtonElement, on: boolean) => {
    chip.setAttribute("aria-pressed", String(on));
    const word = chip.dataset["stand"]!;
    if (word === "retried") filter.retried = on;
    else if (word === "changed") filter.changed = on;
    else if (on) filter.stands.add(STANDS[word]!);
    else filter.stands.delete(STANDS[word]!);
  };
  chips.forEach((chip) => chip.addEventListener("click", () => { press(chip, chip.getAttribute("aria-pressed") !== "true"); apply(); }));
  section.querySelectorAll<HTMLButtonElement>("button[data-only]").forEach((button) => button.addEventListener("click", () => {
    chips.forEach((chip) => press(chip, chip.dataset["stand"] === button.dataset["only"]));
    apply();
    box.scrollIntoView({ block: "nearest" });
    box.focus();
  }));
  const fold = section.querySelector<HTMLButtonElement>("button.fold")!;
  const folding = () => { fold.hidden = !matrix.canFold; fold.textContent = matrix.anyFolded ? "Unfold all" : "Fold by network and node"; };
  fold.addEventListener("click", () => { matrix.foldAll(!matrix.anyFolded); folding(); });
  folding();

  const lights = [...section.querySelectorAll<HTMLButtonElement>("button[data-light]")];
  lights.forEach((button) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    lights.forEach((other) => other.setAttribute("aria-pressed", String(other === button && on)));
    const [list, place] = button.dataset["light"]!.split(" ");
    const codes = list === "cause" ? lab.explanation.causes?.[Number(place)]?.cells : list === "statement"
      ? [...(lab.intent[Number(place)]?.broken ?? []), ...(lab.intent[Number(place)]?.untold ?? [])] : lab.explanation.unexplained;
    matrix.light(on ? new Set((codes ?? []).map((code) => cells.pairOf(code))) : undefined);
    if (on) box.scrollIntoView({ block: "nearest" });
  }));
  section.querySelectorAll<HTMLButtonElement>("button[data-pair]").forEach((button) => button.addEventListener("click", () => {
    const [source, destination] = button.dataset["pair"]!.split(" ").map((name) => lab.ends.findIndex((end) => end.name === name));
    if (source! >= 0 && destination! >= 0) { matrix.choosePair(source! * cells.count + destination!); box.scrollIntoView({ block: "nearest" }); }
  }));
  return {
    redraw: () => matrix.redraw(),
    renew: (fresh) => {
      lab = fresh;
      cells = new Cells(lab);
      matrix.renew(cells);
      details.renew(cells);
      details.show(chosen, filter.layers);
    },
    flash: (pairs) => matrix.flash(pairs),
    chosen: names,
    how: () => filter.layers.length === 1 ? lab.layers[filter.layers[0]!]!.protocol : "",
  };
}

/** Offer words of a filter; one that offers no choice is left out. */
function fill(select: HTMLSelectElement | null, words: string[]): void {
  if (!select) return;
  for (const word of words) select.add(new Option(word, word));
  select.closest("label")!.hidden = words.length < 2;
}

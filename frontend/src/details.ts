/** What is known of the chosen cell, beside the matrix. */

import { type Cell, type Cells, type Lab, Stand, WORDS, asked, together } from "./data";
import type { Chosen } from "./matrix";
import { type Topology, wayOf, type Way } from "./topology";

const MOST = 12;
const STOPS: Record<string, string> = {
  no_route: "no route", not_sent: "not sent", no_neighbour: "nobody answered ARP or ND", no_answer: "no answer", refused: "refused",
};

type Child = Node | string | undefined;
/** A way, and how those cells ask that have it in common. */
interface Named { way: Way; asked: string[] }

/** Make an element; text is text, never markup. */
export function make(tag: string, attributes: Record<string, string> = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child): child is Node | string => child !== undefined));
  return element;
}

export function sign(stand: Stand): HTMLElement {
  const names = ["bad", "open", "ok", "none", "mixed"];
  const signs = ["✗", "?", "●", "·", "◐"];
  return make("span", { class: `sign ${names[stand]}`, "aria-hidden": "true" }, signs[stand]);
}

function standOf(cell: Cell): Stand {
  if (!cell.outcome.measured) return Stand.Unmeasured;
  if (cell.outcome.differs) return Stand.Differs;
  return cell.outcome.observed === "unreachable" ? Stand.Unreachable : Stand.Reachable;
}

export class Details {
  constructor(
    private readonly box: HTMLElement, private cells: Cells, private readonly topology: Topology | undefined,
    private readonly choosePair: (pair: number) => void, private readonly unfold: (keys: string[]) => void,
  ) {}

  /** Know the same cells as they were measured anew. */
  renew(cells: Cells): void { this.cells = cells; }

  private get lab(): Lab { return this.cells.lab; }

  show(chosen: Chosen | undefined, layers: number[]): void {
    if (!chosen) {
      this.topology?.clear();
      this.box.replaceChildren(make("p", { class: "hint" }, "Choose a cell of the matrix, or a cause: its way lights up in the picture, and what is known of it stands here. Arrow keys and Enter do as well as a click."));
      return;
    }
    if (chosen.rows.length === 1 && chosen.columns.length === 1) this.pair(chosen.rows[0]!, chosen.columns[0]!, layers);
    else this.block(chosen, layers);
  }

  private pair(row: number, column: number, layers: number[]): void {
    const source = this.lab.ends[row]!, destination = this.lab.ends[column]!;
    const pair = row * this.cells.count + column;
    const cells = this.cells.of(pair, layers);
    const worst = cells.map(standOf).reduce<Stand | undefined>(together, undefined);
    const named = new Map<string, Named>();
    for (const cell of cells) {
      const way = wayOf(this.lab, row, column, cell);
      if (!way) continue;
      const key = JSON.stringify(way);
      const known = named.get(key) ?? { way, asked: [] };
      known.asked.push(asked(cell.layer));
      named.set(key, known);
    }
    const ways = [...named.values()].map((one) => one.way);
    const missed = ways.length && ways.every((way) => !way.arrived) ? [this.lab.rows![column]!] : [];
    this.topology?.light(ways, missed);
    const where = (end: typeof source) => [end.network, end.network ? `on ${end.node}` : end.kind, end.address ?? end.address6].filter(Boolean).join(" · ");
    this.box.replaceChildren(
      make("h3", {}, source.name, make("span", { class: "arrow" }, " → "), destination.name),
      make("p", { class: "soft" }, where(source), make("br"), where(destination)),
      worst === undefined ? make("p", {}, "There is no such cell.") : make("p", { class: "stand" }, sign(worst), ` ${WORDS[worst]}`),
      this.table(cells),
      ...this.notes(cells),
      ...this.way([...named.values()]),
      ...this.causes(cells, worst),
      ...this.captured(cells),
      ...this.expectations(cells),
      ...this.intent(cells),
    );
  }

  private table(cells: Cell[]): HTMLElement {
    const head = make("tr", {}, ...["how", "expected", "observed", "sent", "round trip"].map((word) => make("th", { scope: "col" }, word)));
    const body = cells.map((cell) => {
      const { outcome, prediction } = cell;
      const told = (word: string, stop: string) => (stop && word === "unreachable" ? `${word}: ${STOPS[stop] ?? stop}` : word);
      const lost = outcome.lost ? `, ${outcome.lost} lost` : "";
      return make("tr", {},
        make("th", { scope: "row" }, sign(standOf(cell)), ` ${asked(cell.layer)}`),
        make("td", {}, told(prediction.expected, prediction.stop)),
        make("td", {}, told(outcome.observed.replace("not_measured", "not measured"), outcome.stopped)),
        make("td", { class: "number" }, `${outcome.attempts}${lost}`),
        make("td", { class: "number" }, cell.rtt ? `${cell.rtt.toFixed(2)} ms` : "–"));
    });
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The cells of this pair" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  }

  private notes(cells: Cell[]): HTMLElement[] {
    const notes = new Set<string>();
    for (const { outcome } of cells) {
      if (outcome.reason) notes.add(`${outcome.measured ? "At the source" : "Why it wasn't measured"}: ${outcome.reason}`);
      if (outcome.answeredBy) notes.add(`Somebody else answered: ${outcome.answeredBy}`);
      if (outcome.differs && outcome.arrived && outcome.observed === "unreachable") notes.add("The destination received the request.");
      if (outcome.lost) notes.add("A packet got lost and was sent again.");
    }
    return [...notes].map((note) => make("p", { class: "note" }, note));
  }

  private expectations(cells: Cell[]): HTMLElement[] {
    const rules = new Map(cells.map((cell) => [cell.prediction.rule + cell.prediction.because, cell.prediction]));
    if (!rules.size) return [];
    const told = [...rules.values()].map((one) => make("li", {}, one.because, make("span", { class: "source" }, `rule ${one.rule} · ${one.reference}`)));
    return [make("h4", {}, "Expected so because"), make("ul", { class: "plain" }, ...told)];
  }

  private intent(cells: Cell[]): HTMLElement[] {
    const codes = new Set(cells.map((cell) => cell.code));
    const about = this.lab.intent.filter((one) => [...one.cells, ...one.broken, ...one.untold].some((code) => codes.has(code)));
    if (!about.length) return [];
    const told = about.map((one) => {
      const broken = one.broken.some((code) => codes.has(code)), untold = one.untold.some((code) => codes.has(code));
      return make("li", {}, sign(broken ? Stand.Differs : untold ? Stand.Unmeasured : Stand.Reachable), ` ${one.text}`, make("span", { class: "source" }, `line ${one.line} of the lab file · ${broken ? "broken here" : untold ? "not measured here" : "kept here"}`));
    });
    return [make("h4", {}, "Wanted"), make("ul", { class: "plain" }, ...told)];
  }

  private causes(cells: Cell[], worst: Stand | undefined): HTMLElement[] {
    const codes = new Set(cells.map((cell) => cell.code));
    const { causes, unexplained = [] } = this.lab.explanation;
    // Where nobody has looked for causes, there is nothing to say of them.
    if (!causes) return [];
    const found = causes.filter((cause) => cause.cells.some((code) => codes.has(code)));
    if (!found.length) {
      const none = unexplained.some((code) => codes.has(code)) || worst === Stand.Differs;
      return none ? [make("h4", {}, "Cause"), make("p", {}, "None of the known causes accounts for it.")] : [];
    }
    const told = found.map((cause) => make("li", {}, make("strong", {}, `${cause.title}: ${cause.where}`), make("span", { class: "source" }, cause.sureness),
      ...cause.evidence.map((one) => make("pre", { class: "evidence", tabindex: "0" }, `${one.node}: ${one.command}\n${one.lines.map((line) => `  ${line}`).join("\n")}`))));
    return [make("h4", {}, found.length > 1 ? "Causes" : "Cause"), make("ul", { class: "plain" }, ...told)];
  }

  private captured(cells: Cell[]): HTMLElement[] {
    const codes = new Set(cells.map((cell) => cell.code));
    return this.lab.captures.filter((one) => one.code !== null && codes.has(one.code)).flatMap((one) => {
      const how = cells.find((cell) => cell.code === one.code)!;
      const points = one.points.map((point) => make("li", {}, sign(point.seen ? Stand.Reachable : Stand.Differs), ` ${point.packet} at ${point.at}`, point.words ? make("span", { class: "source" }, point.words) : undefined));
      return [make("h4", {}, `On the wire, asked again by ${asked(how.layer)}`), make("p", {}, one.last), make("ul", { class: "plain" }, ...points)];
    });
  }

  private way(ways: Named[]): HTMLElement[] {
    if (!this.topology || !ways.length) return [];
    const words = (parts: string[]) => this.topology!.words(parts).join(" → ");
    const told = ways.map(({ way, asked: how }) => make("li", {}, make("strong", {}, how.join(", ")),
      make("div", {}, make("span", { class: "soft" }, "there: "), words(way.there), way.arrived ? undefined : " ✗ and no farther"),
      way.back.length ? make("div", {}, make("span", { class: "soft" }, "back: "), words(way.back)) : undefined));
    const title = ways.every(({ way }) => !way.measured) ? "The way it should go" : "Its way";
    return [make("h4", {}, title), this.topology.small(), make("ul", { class: "plain way" }, ...told)];
  }

  private block(chosen: Chosen, layers: number[]): void {
    this.topology?.clear();
    const counts = new Map<Stand, number>();
    const odd: number[] = [];
    for (const row of chosen.rows) for (const column of chosen.columns) {
      const pair = row * this.cells.count + column;
      const stand = this.cells.stand(pair, layers);
      if (stand === undefined) continue;
      counts.set(stand, (counts.get(stand) ?? 0) + 1);
      if (stand <= Stand.Unmeasured) odd.push(pair);
    }
    const told = [...counts].sort(([one], [other]) => one - other).map(([stand, count]) => make("li", {}, sign(stand), ` ${count} ${count === 1 ? "pair" : "pairs"}: ${WORDS[stand]}`));
    const name = (pair: number) => `${this.lab.ends[Math.floor(pair / this.cells.count)]!.name} → ${this.lab.ends[pair % this.cells.count]!.name}`;
    const listed = odd.slice(0, MOST).map((pair) => {
      const button = make("button", { type: "button", class: "link" }, name(pair));
      button.addEventListener("click", () => this.choosePair(pair));
      return make("li", {}, button);
    });
    const unfold = make("button", { type: "button" }, "Unfold these");
    unfold.addEventListener("click", () => this.unfold([chosen.row, chosen.column].filter((slot) => slot.folded).map((slot) => slot.group.key)));
    this.box.replaceChildren(
      make("h3", {}, chosen.row.label, make("span", { class: "arrow" }, " → "), chosen.column.label),
      make("ul", { class: "plain" }, ...told), unfold,
      ...(listed.length ? [make("h4", {}, odd.length > MOST ? `The first ${MOST} of ${odd.length}` : "Which ones"), make("ul", { class: "plain" }, ...listed)] : []),
    );
  }
}

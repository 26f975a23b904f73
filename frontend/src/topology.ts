/** The lab's picture: what a packet passes is lit in it, and what it didn't get to is marked. */

import type { Cell, Lab } from "./data";

/** Where a request and its answer went: the parts that each passed, and whether the request got to its end. */
export interface Way { there: string[]; back: string[]; arrived: boolean; measured: boolean }

const NOWHERE = new Set(["no_route", "not_sent"]);
const AT_THE_END = new Set(["no_answer", "refused"]);

/** The way of a cell from one end to another, as far as it went; undefined where none is known. */
export function wayOf(lab: Lab, source: number, destination: number, cell: Cell): Way | undefined {
  const { kinds, ways, rows } = lab;
  if (!kinds || !ways || !rows) return undefined;
  const found = ways[`${kinds[source]} ${kinds[destination]} ${cell.layer.family}`];
  if (!found) return undefined;
  const { outcome, prediction } = cell;
  const seen = outcome.measured ? outcome.observed : prediction.expected;
  const stop = outcome.measured ? outcome.stopped : prediction.stop;
  const own = [rows[source]!, rows[destination]!] as const;
  const [there, back] = found;
  const measured = outcome.measured;
  if (seen !== "unreachable") return { there: [own[0], ...there, own[1]], back: [own[1], ...back, own[0]], arrived: true, measured };
  if (outcome.arrived || AT_THE_END.has(stop)) return { there: [own[0], ...there, own[1]], back: [], arrived: true, measured };
  if (NOWHERE.has(stop)) return { there: [own[0]], back: [], arrived: false, measured };
  // What it asks for its neighbour goes as far as the first switch.
  const first = there.findIndex((part) => isSegment(part));
  return { there: [own[0], ...(first < 0 ? there : there.slice(0, first + 1))], back: [], arrived: false, measured };
}

function isSegment(part: string): boolean { return part.startsWith("segment ") && !part.includes(" – "); }

export class Topology {
  private readonly parts = new Map<string, SVGGElement>();

  constructor(private readonly svg: SVGElement) {
    svg.querySelectorAll<SVGGElement>("[data-id]").forEach((one) => this.parts.set(one.dataset["id"]!, one));
  }

  clear(): void {
    this.svg.classList.remove("has-way", "open");
    for (const part of this.parts.values()) part.classList.remove("lit", "missed");
  }

  /** Light ways; `missed` are the rows of ends that they didn't get to. */
  light(ways: Way[], missed: string[]): void {
    this.clear();
    if (!ways.length) return;
    this.svg.classList.add("has-way");
    this.svg.classList.toggle("open", ways.every((way) => !way.measured));
    for (const way of ways) {
      const lit = new Set<string>();
      for (const part of [...way.there, ...way.back]) {
        lit.add(part);
        const box = this.parts.get(part)?.closest<SVGGElement>(".item")?.dataset["id"];
        if (box) lit.add(box);
      }
      for (const part of lit) this.parts.get(part)?.classList.add("lit");
      for (const tie of this.svg.querySelectorAll<SVGGElement>(".tie.stack")) {
        if (lit.has(tie.dataset["one"]!) && lit.has(tie.dataset["other"]!)) tie.classList.add("lit");
      }
    }
    for (const part of missed) {
      this.parts.get(part)?.classList.add("missed");
      this.parts.get(part)?.closest(".item")?.classList.add("missed");
    }
  }

  /** A small copy of the picture as it is lit now: the shape of a way beside what is said of it. */
  small(): HTMLElement {
    const copy = this.svg.cloneNode(true) as SVGElement;
    copy.querySelectorAll("title, desc, text").forEach((one) => one.remove());
    for (const name of ["width", "height", "style", "aria-labelledby", "role"]) copy.removeAttribute(name);
    copy.querySelectorAll("[data-id]").forEach((one) => one.removeAttribute("data-id"));
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.setAttribute("aria-label", "to the picture");
    copy.setAttribute("aria-hidden", "true");
    button.append(copy);
    button.addEventListener("click", () => this.svg.closest("section")!.scrollIntoView({ block: "center" }));
    return button;
  }

  /** What the parts of a way are called, for its description in words. */
  words(parts: string[]): string[] {
    return parts.map((part) => {
      const element = this.parts.get(part);
      const machine = part.split(" ").slice(1, 2).join("");
      if (!element || element.classList.contains("tie")) return "";
      if (element.classList.contains("row")) return element.querySelector(".end")?.textContent ?? "";
      if (element.classList.contains("machine")) return machine;
      const name = element.querySelector(".name")?.textContent ?? part;
      return element.classList.contains("segment") ? `switch of ${name}` : `${name} of ${machine}`;
    }).filter((word, number, all) => word && word !== all[number - 1]);
  }
}

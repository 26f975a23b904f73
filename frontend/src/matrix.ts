/**
 * The matrix as a heat map on a canvas: only what is in sight is drawn, so that 300 containers are
 * no more work than twelve. Readers of screens and keyboards get it as a grid of one cell at a time.
 */

import { type Cells, Stand, WORDS, together } from "./data";
import { type Group, type Slot, foldedAtFirst, groupsOf, slotsOf } from "./axis";

export interface Filter { network: string; node: string; layers: number[]; stands: Set<Stand>; retried: boolean; changed: boolean }
/** Who asks and who is asked: ends, one of each or all of a folded group. */
export interface Chosen { rows: number[]; columns: number[]; row: Slot; column: Slot }
interface Block { stand: Stand; some: number; of: number; retried: boolean; changed: boolean; lit: boolean; ringed: boolean }

const LEAST = 24, MOST = 38, FOLDED = 92, TALL = 34, COUNTED = 80, GAP = 12, PAD = 10;
/** The longest side of a printed matrix, in the canvas's own pixels: browsers draw none that is much larger. */
const LARGEST = 8000;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

export class Matrix {
  private readonly groups: Group[];
  private readonly folded: Set<string>;
  private readonly canvas: HTMLCanvasElement;
  private readonly spacer: HTMLElement;
  private readonly cellText: HTMLElement;
  private readonly rowText: HTMLElement;
  private rows: Slot[] = [];
  private columns: Slot[] = [];
  private xs: number[] = [];
  private ys: number[] = [];
  private left = 0;
  private top = 0;
  private cell = LEAST;
  private blocks = new Map<number, Block | null>();
  private cursor = { row: 0, column: 0 };
  private chosen: Chosen | undefined;
  private lit: Set<number> | undefined;
  private ringed: Set<number> | undefined;
  private filter: Filter;
  private waiting = 0;
  private printed = false;

  constructor(
    private readonly box: HTMLElement, private cells: Cells, filter: Filter,
    private readonly told: { choose: (chosen: Chosen | undefined) => void; hover: (words: string) => void },
  ) {
    this.filter = filter;
    this.groups = groupsOf(cells.lab.ends);
    this.folded = foldedAtFirst(this.groups);
    this.canvas = box.querySelector("canvas")!;
    this.spacer = box.querySelector(".spacer")!;
    this.cellText = box.querySelector('[role="gridcell"]')!;
    this.rowText = box.querySelector('[role="row"]')!;
    box.addEventListener("scroll", () => this.drawSoon());
    new ResizeObserver(() => { this.place(); this.drawSoon(); }).observe(box);
    // Paper isn't scrolled: all of it is drawn there, and the style shrinks it to the sheet.
    window.addEventListener("beforeprint", () => { this.printed = true; this.draw(); });
    window.addEventListener("afterprint", () => { this.printed = false; this.draw(); });
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("focus", () => { this.say(); this.drawSoon(); });
    box.addEventListener("blur", () => this.drawSoon());
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("mousemove", (event) => this.move(event));
    this.canvas.addEventListener("mouseleave", () => this.told.hover(""));
    this.arrange();
  }

  /** Show other cells. */
  use(filter: Filter): void { this.filter = filter; this.arrange(); }

  /** Light some pairs and dim all others; undefined lights none. */
  light(pairs: Set<number> | undefined): void {
    this.lit = pairs;
    this.blocks.clear();
    this.drawSoon();
  }

  /** Show the same ends as they were measured anew. */
  renew(cells: Cells): void { this.cells = cells; this.arrange(); }

  /** Ring some pairs, which changed just now; undefined rings none. */
  flash(pairs: Set<number> | undefined): void {
    this.ringed = pairs;
    this.blocks.clear();
    this.drawSoon();
  }

  /** Choose one pair of ends, unfolding what it stands in. */
  choosePair(pair: number): void {
    const row = Math.floor(pair / this.cells.count), column = pair % this.cells.count;
    for (const end of [row, column]) {
      const group = this.groups.find((one) => one.ends.includes(end));
      if (group) this.folded.delete(group.key);
    }
    this.arrange();
    const r = this.rows.findIndex((slot) => slot.ends[0] === row);
    const c = this.columns.findIndex((slot) => slot.ends[0] === column);
    if (r < 0 || c < 0) return;
    this.cursor = { row: r, column: c };
    this.intoSight();
    this.chooseHere();
  }

  /** Unfold a group's rows and columns, or fold them again. */
  toggle(key: string): void {
    if (!this.folded.delete(key)) this.folded.add(key);
    this.arrange();
  }

  get canFold(): boolean { return this.groups.some((group) => group.network && group.ends.length > 1); }
  get anyFolded(): boolean { return this.folded.size > 0; }
  foldAll(fold: boolean): void {
    this.folded.clear();
    if (fold) for (const group of this.groups) if (group.network && group.ends.length > 1) this.folded.add(group.key);
    this.arrange();
  }

  redraw(): void { this.drawSoon(); }

  private visible(row: number, column: number): boolean {
    const { network, node } = this.filter;
    const one = this.cells.lab.ends[row]!, other = this.cells.lab.ends[column]!;
    if (network && one.network !== network && other.network !== network) return false;
    return !node || one.node === node || other.node === node;
  }

  private passes(row: number, column: number): Stand | undefined {
    if (!this.visible(row, column)) return undefined;
    const pair = row * this.cells.count + column;
    const stand = this.cells.stand(pair, this.filter.layers);
    if (stand === undefined) return undefined;
    const { stands, retried, changed } = this.filter;
    if (!stands.size && !retried && !changed) return stand;
    if (stands.has(stand) || (retried && this.cells.isRetried(pair, this.filter.layers))) return stand;
    return changed && this.cells.changed.has(pair) ? stand : undefined;
  }

  private arrange(): void {
    const count = this.cells.count;
    const rowsThere = new Uint8Array(count), columnsThere = new Uint8Array(count);
    for (let row = 0; row < count; row++) for (let column = 0; column < count; column++) {
      if (rowsThere[row] && columnsThere[column]) continue;
      if (this.passes(row, column) !== undefined) rowsThere[row] = columnsThere[column] = 1;
    }
    this.rows = slotsOf(this.groups, this.cells.lab.ends, this.folded, (end) => rowsThere[end] === 1);
    this.columns = slotsOf(this.groups, this.cells.lab.ends, this.folded, (end) => columnsThere[end] === 1);
    const pen = this.canvas.getContext("2d")!;
    pen.font = FONT;
    pen.font = `600 ${FONT}`;
    const label = (slot: Slot) => pen.measureText(this.mark(slot) + slot.label).width;
    const wide = (slot: Slot) => label(slot) + (slot.note ? pen.measureText(slot.note).width + 14 : 0);
    this.left = Math.min(260, Math.max(96, ...this.rows.map(wide)) + 22);
    this.top = Math.min(210, Math.max(40, ...this.columns.map(label)) + 16);
    this.place();
    this.box.classList.toggle("empty", !this.rows.length);
    this.box.setAttribute("aria-rowcount", String(this.rows.length));
    this.box.setAttribute("aria-colcount", String(this.columns.length));
    this.cursor.row = Math.min(this.cursor.row, Math.max(0, this.rows.length - 1));
    this.cursor.column = Math.min(this.cursor.column, Math.max(0, this.columns.length - 1));
    this.blocks.clear();
    this.say();
    this.drawSoon();
  }

  /** Give rows and columns their places: cells as large as there is room for. */
  private place(): void {
    const folded = this.columns.filter((slot) => slot.folded).length, gaps = this.columns.filter((slot) => slot.first).length;
    const room = this.box.clientWidth - this.left - PAD - folded * FOLDED - gaps * GAP;
    this.cell = Math.max(LEAST, Math.min(MOST, Math.floor(room / Math.max(1, this.columns.length - folded))));
    const along = (slots: Slot[], start: number, size: number) => {
      let at = start;
      const places = slots.map((slot) => { at += slot.first ? GAP : 0; const here = at; at += slot.folded ? size : this.cell; return here; });
      return [...places, at];
    };
    this.xs = along(this.columns, this.left, FOLDED);
    this.ys = along(this.rows, this.top, TALL);
    this.spacer.style.width = `${this.xs[this.columns.length]! + PAD}px`;
    this.spacer.style.height = `${this.ys[this.rows.length]! + PAD}px`;
    this.box.style.height = `${this.ys[this.rows.length]! + PAD + 14}px`;
  }

  private block(row: number, column: number): Block | null {
    const key = row * this.columns.length + column;
    const known = this.blocks.get(key);
    if (known !== undefined) return known;
    let stand: Stand | undefined;
    let differs = 0, unmeasured = 0, of = 0, retried = false, changed = false, lit = false, ringed = false;
    for (const one of this.rows[row]!.ends) for (const other of this.columns[column]!.ends) {
      const here = this.passes(one, other);
      if (here === undefined) continue;
      const pair = one * this.cells.count + other;
      of++;
      differs += here === Stand.Differs ? 1 : 0;
      unmeasured += here === Stand.Unmeasured ? 1 : 0;
      stand = together(stand, here);
      retried ||= this.cells.isRetried(pair, this.filter.layers);
      changed ||= this.cells.changed.has(pair);
      lit ||= this.lit?.has(pair) ?? false;
      ringed ||= this.ringed?.has(pair) ?? false;
    }
    const some = stand === Stand.Differs ? differs : unmeasured;
    const block = stand === undefined ? null : { stand, some, of, retried, changed, lit, ringed };
    this.blocks.set(key, block);
    return block;
  }

  private words(row: number, column: number): string {
    const one = this.rows[row], other = this.columns[column];
    if (!one || !other) return "No cell is shown.";
    const block = this.block(row, column);
    const who = `${one.label} asks ${other.label}`;
    if (!block) return `${who}: no cell`;
    const counted = block.of > 1
      ? block.stand <= Stand.Unmeasured ? `: ${block.some} of ${block.of} pairs ${block.stand ? "not measured" : "differ"}` : `: ${block.of} pairs, ${WORDS[block.stand]}`
      : `: ${WORDS[block.stand]}`;
    return `${who}${counted}${block.retried ? ", sent again after a loss" : ""}${block.changed ? ", not as before" : ""}`;
  }

  private say(): void {
    this.cellText.textContent = this.words(this.cursor.row, this.cursor.column);
    this.rowText.setAttribute("aria-rowindex", String(this.cursor.row + 1));
    this.cellText.setAttribute("aria-colindex", String(this.cursor.column + 1));
  }

  private chooseHere(): void {
    const row = this.rows[this.cursor.row], column = this.columns[this.cursor.column];
    if (!row || !column || !this.block(this.cursor.row, this.cursor.column)) return;
    this.chosen = { rows: row.ends, columns: column.ends, row, column };
    this.say();
    this.told.choose(this.chosen);
    this.drawSoon();
  }

  /** Choose nothing. */
  clear(): void {
    this.chosen = undefined;
    this.told.choose(undefined);
    this.drawSoon();
  }

  private key(event: KeyboardEvent): void {
    const { row, column } = this.cursor;
    const lastRow = this.rows.length - 1, lastColumn = this.columns.length - 1;
    const moves: Record<string, [number, number]> = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? lastRow : row, lastColumn],
      PageUp: [row - 8, column], PageDown: [row + 8, column],
    };
    const to = moves[event.key];
    if (to) {
      this.cursor = { row: Math.max(0, Math.min(lastRow, to[0])), column: Math.max(0, Math.min(lastColumn, to[1])) };
      this.intoSight();
      this.say();
      this.told.hover(this.words(this.cursor.row, this.cursor.column));
    } else if (event.key === "Enter" || event.key === " ") {
      this.chooseHere();
    } else if (event.key === "Escape") {
      this.clear();
    } else if (event.key === "f" && this.rows[row]) {
      this.toggle(this.rows[row]!.group.key);
    } else {
      return;
    }
    event.preventDefault();
    this.drawSoon();
  }

  private intoSight(): void {
    const { row, column } = this.cursor, box = this.box;
    const x = this.xs[column]! - this.left, y = this.ys[row]! - this.top;
    const wide = box.clientWidth - this.left, tall = box.clientHeight - this.top;
    if (x < box.scrollLeft) box.scrollLeft = x - LEAST;
    if (x + FOLDED > box.scrollLeft + wide) box.scrollLeft = x + FOLDED - wide;
    if (y < box.scrollTop) box.scrollTop = y - LEAST;
    if (y + TALL > box.scrollTop + tall) box.scrollTop = y + TALL - tall;
  }

  /** Which row and column are at a point of the canvas; -1 for the headings. */
  private at(event: MouseEvent): { row: number; column: number } {
    const frame = this.canvas.getBoundingClientRect();
    const px = event.clientX - frame.left, py = event.clientY - frame.top;
    const find = (places: number[], at: number) => {
      for (let n = 0; n + 1 < places.length; n++) if (at >= places[n]! && at < places[n + 1]!) return n;
      return -1;
    };
    const column = px < this.left ? -1 : find(this.xs, px + this.box.scrollLeft);
    const row = py < this.top ? -1 : find(this.ys, py + this.box.scrollTop);
    return { row, column };
  }

  private click(event: MouseEvent): void {
    const { row, column } = this.at(event);
    const heading = row < 0 ? this.columns[column] : column < 0 ? this.rows[row] : undefined;
    if (heading) {
      if (heading.group.network && heading.group.ends.length > 1) this.toggle(heading.group.key);
      return;
    }
    if (row < 0 || column < 0) return;
    this.cursor = { row, column };
    this.chooseHere();
  }

  private move(event: MouseEvent): void {
    const { row, column } = this.at(event);
    const over = row >= 0 && column >= 0;
    const heading = row < 0 ? this.columns[column] : column < 0 ? this.rows[row] : undefined;
    const folds = heading && heading.group.network && heading.group.ends.length > 1;
    this.canvas.style.cursor = over || folds ? "pointer" : "default";
    const fold = folds ? `${heading.group.label}: click to ${heading.folded ? "unfold" : "fold"}` : "";
    this.told.hover(over ? this.words(row, column) : fold);
  }

  private drawSoon(): void {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  private draw(): void {
    const { canvas, box } = this;
    const room = this.printed ? { wide: Infinity, tall: Infinity } : { wide: box.clientWidth, tall: box.clientHeight };
    const wide = Math.min(room.wide, this.xs[this.columns.length]! + PAD), tall = Math.min(room.tall, this.ys[this.rows.length]! + PAD);
    const scale = this.printed ? Math.min(2, LARGEST / Math.max(wide, tall)) : window.devicePixelRatio || 1;
    canvas.width = wide * scale; canvas.height = tall * scale;
    canvas.style.width = `${wide}px`; canvas.style.height = `${tall}px`;
    const pen = canvas.getContext("2d")!;
    const style = getComputedStyle(box);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    pen.scale(scale, scale);
    pen.font = FONT;
    const sx = this.printed ? 0 : box.scrollLeft, sy = this.printed ? 0 : box.scrollTop;
    const focused = document.activeElement === box;
    pen.save();
    pen.beginPath(); pen.rect(this.left, this.top, wide - this.left, tall - this.top); pen.clip();
    for (let row = 0; row < this.rows.length; row++) {
      const y = this.ys[row]! - sy, h = this.rows[row]!.folded ? TALL : this.cell;
      if (y + h < this.top || y > tall) continue;
      for (let column = 0; column < this.columns.length; column++) {
        const x = this.xs[column]! - sx, w = this.columns[column]!.folded ? FOLDED : this.cell;
        if (x + w < this.left || x > wide) continue;
        const block = this.block(row, column);
        if (block) this.drawBlock(pen, block, x + 1, y + 1, w - 2, h - 2, colour);
        const chosen = this.chosen && this.chosen.row.ends[0] === this.rows[row]!.ends[0] && this.chosen.column.ends[0] === this.columns[column]!.ends[0];
        const here = focused && this.cursor.row === row && this.cursor.column === column;
        if (chosen || here) {
          pen.strokeStyle = colour("ink"); pen.lineWidth = chosen ? 2.5 : 1.5;
          pen.setLineDash(chosen ? [] : [3, 2]);
          pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
          pen.setLineDash([]);
        }
      }
    }
    pen.restore();
    this.drawHeadings(pen, sx, sy, wide, tall, colour);
  }

  private drawHeadings(pen: CanvasRenderingContext2D, sx: number, sy: number, wide: number, tall: number, colour: (name: string) => string): void {
    pen.textBaseline = "middle";
    pen.save();
    pen.beginPath(); pen.rect(0, this.top, this.left, tall - this.top); pen.clip();
    this.rows.forEach((slot, row) => {
      const y = this.ys[row]! - sy, h = slot.folded ? TALL : this.cell;
      if (y + h < this.top || y > tall) return;
      const active = this.chosen?.row.ends[0] === slot.ends[0];
      pen.fillStyle = colour("ink"); pen.font = active || slot.folded ? `600 ${FONT}` : FONT;
      pen.textAlign = "left";
      const fold = this.mark(slot);
      pen.fillText(fold + slot.label, 6, y + h / 2);
      pen.font = FONT; pen.fillStyle = colour("soft"); pen.textAlign = "right";
      pen.fillText(slot.note, this.left - 10, y + h / 2);
    });
    pen.restore();
    pen.save();
    pen.beginPath(); pen.rect(this.left, 0, wide - this.left, this.top); pen.clip();
    this.columns.forEach((slot, column) => {
      const x = this.xs[column]! - sx, w = slot.folded ? FOLDED : this.cell;
      if (x + w < this.left || x > wide) return;
      const active = this.chosen?.column.ends[0] === slot.ends[0];
      pen.save();
      pen.translate(x + w / 2, this.top - 8); pen.rotate(-Math.PI / 2);
      pen.fillStyle = colour("ink"); pen.font = active || slot.folded ? `600 ${FONT}` : FONT;
      pen.textAlign = "left";
      pen.fillText(this.mark(slot) + slot.label, 0, 0);
      pen.restore();
    });
    pen.restore();
    pen.fillStyle = colour("soft"); pen.font = FONT; pen.textAlign = "left";
    pen.fillText("rows ask,", 6, this.top - 26);
    pen.fillText("columns answer", 6, this.top - 11);
  }

  private mark(slot: Slot): string { return slot.folded ? "▸ " : ""; }

  private drawBlock(pen: CanvasRenderingContext2D, block: Block, x: number, y: number, w: number, h: number, colour: (name: string) => string): void {
    const cx = x + w / 2, cy = y + h / 2, dim = this.lit && !block.lit;
    pen.globalAlpha = dim ? 0.22 : 1;
    const fills: Record<Stand, string> = {
      [Stand.Differs]: "bad", [Stand.Unmeasured]: "open-soft", [Stand.Reachable]: "ok-soft",
      [Stand.Unreachable]: "none-soft", [Stand.Mixed]: "ok-soft",
    };
    pen.fillStyle = colour(fills[block.stand]);
    pen.beginPath(); pen.roundRect(x, y, w, h, 3); pen.fill();
    const partly = block.of > 1 && block.stand <= Stand.Unmeasured && block.some < block.of;
    const count = partly && w >= COUNTED ? `${short(block.some)}/${short(block.of)}` : "";
    const shift = count ? -w / 2 + 10 : 0;
    if (block.stand === Stand.Differs) {
      pen.strokeStyle = pen.fillStyle = colour("on-bad"); pen.lineWidth = 2; pen.lineCap = "round";
      const r = 4.5;
      pen.beginPath(); pen.moveTo(cx + shift - r, cy - r); pen.lineTo(cx + shift + r, cy + r); pen.moveTo(cx + shift + r, cy - r); pen.lineTo(cx + shift - r, cy + r); pen.stroke();
    } else if (block.stand === Stand.Unmeasured) {
      pen.save(); pen.beginPath(); pen.roundRect(x, y, w, h, 3); pen.clip();
      pen.strokeStyle = colour("open-line"); pen.lineWidth = 1.5;
      pen.beginPath();
      for (let d = -h; d < w; d += 6) { pen.moveTo(x + d, y + h); pen.lineTo(x + d + h, y); }
      pen.stroke(); pen.restore();
      const half = count ? w / 2 - 4 : 7;
      pen.fillStyle = colour("open-soft"); pen.beginPath(); pen.roundRect(cx - half, cy - 8, 2 * half, 16, 7); pen.fill();
      pen.fillStyle = colour("open-ink"); pen.font = `700 13px system-ui, sans-serif`; pen.textAlign = "center"; pen.textBaseline = "middle";
      pen.fillText("?", cx + shift, cy + 0.5);
    } else if (block.stand === Stand.Unreachable) {
      pen.fillStyle = colour("none"); pen.beginPath(); pen.arc(cx, cy, 1.8, 0, 7); pen.fill();
    } else {
      pen.fillStyle = colour("ok"); pen.beginPath(); pen.arc(cx, cy, 5.5, block.stand === Stand.Mixed ? Math.PI / 2 : 0, block.stand === Stand.Mixed ? Math.PI * 1.5 : 7); pen.fill();
      if (block.stand === Stand.Mixed) { pen.strokeStyle = colour("ok"); pen.lineWidth = 1.4; pen.beginPath(); pen.arc(cx, cy, 5, 0, 7); pen.stroke(); }
    }
    if (count) {
      pen.font = `600 11px system-ui, sans-serif`; pen.textAlign = "left"; pen.textBaseline = "middle";
      pen.fillStyle = colour(block.stand === Stand.Differs ? "on-bad" : "open-ink");
      pen.fillText(count, cx + shift + 10, cy + 0.5);
    }
    if (block.retried && block.of === 1) { pen.strokeStyle = colour("ink"); pen.lineWidth = 1.4; pen.beginPath(); pen.arc(cx, cy, 8.5, -0.6, Math.PI * 1.35); pen.stroke(); }
    if (block.retried && block.of > 1) { pen.strokeStyle = colour(block.stand === Stand.Differs ? "on-bad" : "ink"); pen.lineWidth = 1.2; pen.beginPath(); pen.arc(x + w - 8, y + h - 8, 3.5, -0.6, Math.PI * 1.35); pen.stroke(); }
    if (block.changed) { pen.fillStyle = colour("ink"); pen.beginPath(); pen.moveTo(x + w - 8, y); pen.lineTo(x + w, y); pen.lineTo(x + w, y + 8); pen.fill(); }
    pen.globalAlpha = 1;
    if (block.ringed) { pen.strokeStyle = colour("ink"); pen.lineWidth = 4; pen.beginPath(); pen.roundRect(x, y, w, h, 3); pen.stroke(); }
    if (this.lit && block.lit) { pen.strokeStyle = colour("lit"); pen.lineWidth = 2; pen.beginPath(); pen.roundRect(x, y, w, h, 3); pen.stroke(); }
  }
}

/** A number in as few signs as a block has room for. */
function short(number: number): string {
  return number < 1000 ? String(number) : `${(number / 1000).toFixed(number < 10000 ? 1 : 0)}k`;
}

/** What the page is about: the document that Python wrote into it, and its cells by number. */

export interface End { name: string; kind: string; node: string; network?: string; address?: string; address6?: string }
export interface Outcome {
  prediction: number; observed: string; stopped: string; answeredBy: string; arrived: boolean;
  attempts: number; lost: number; reason: string; differs: boolean; measured: boolean;
}
export interface Prediction { expected: string; stop: string; rule: string; because: string; reference: string }
export interface Layer { protocol: string; family: number; kind: string; outcomes: string; rtts: string }
export interface Evidence { node: string; command: string; lines: string[] }
export interface Cause { id: string; title: string; where: string; sureness: string; cells: number[]; evidence: Evidence[] }
export interface Statement { line: number; text: string; word: string; about: number; cells: number[]; broken: number[]; untold: number[] }
export interface Capture { code: number | null; last: string; points: { packet: string; at: string; seen: boolean; words: string }[] }
export interface Lab {
  lab: string; file: string; ends: End[]; layers: Layer[]; outcomes: Outcome[]; predictions: Prediction[];
  intent: Statement[]; explanation: { causes?: Cause[]; unexplained?: number[] };
  kinds?: number[]; rows?: string[]; ways?: Record<string, [string[], string[]]>; changed: number[]; captures: Capture[];
}
export interface Run { labs: Lab[] }

/** How a cell stands; the worst news first, as it wins where one sign stands for several cells. */
export enum Stand { Differs, Unmeasured, Reachable, Unreachable, Mixed }

const NONE = 0xffff;
const STEP = 0.01;

function unpacked(text: string): Uint16Array {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
}

/** One cell as it is shown: which layer it is in, what was seen, and its round trip in ms. */
export interface Cell { code: number; layer: Layer; outcome: Outcome; prediction: Prediction; rtt: number }

/** The cells of a lab. A pair is a number too: row times the number of ends, and column. */
export class Cells {
  readonly count: number;
  private readonly outcomes: Uint16Array[];
  private readonly rtts: Uint16Array[];
  private readonly stands: Uint8Array;
  private readonly retried: Uint8Array;
  readonly changed: Set<number>;

  constructor(readonly lab: Lab) {
    this.count = lab.ends.length;
    this.outcomes = lab.layers.map((layer) => unpacked(layer.outcomes));
    this.rtts = lab.layers.map((layer) => unpacked(layer.rtts));
    this.stands = Uint8Array.from(lab.outcomes, (one) => standOf(one));
    this.retried = Uint8Array.from(lab.outcomes, (one) => (one.lost > 0 ? 1 : 0));
    const square = this.count * this.count;
    this.changed = new Set(lab.changed.map((code) => code % square));
  }

  /** The pair that a cell is of. */
  pairOf(code: number): number { return code % (this.count * this.count); }

  /** The cells of a pair in the given layers. */
  of(pair: number, layers: number[]): Cell[] {
    const found: Cell[] = [];
    for (const number of layers) {
      const place = this.outcomes[number]![pair]!;
      if (place === NONE) continue;
      const outcome = this.lab.outcomes[place]!;
      const rtt = this.rtts[number]![pair]!;
      found.push({
        code: number * this.count * this.count + pair, layer: this.lab.layers[number]!, outcome,
        prediction: this.lab.predictions[outcome.prediction]!, rtt: rtt * STEP,
      });
    }
    return found;
  }

  /** How a pair stands in the given layers; undefined where it has no cell there. */
  stand(pair: number, layers: number[]): Stand | undefined {
    let worst: Stand | undefined;
    for (const number of layers) {
      const place = this.outcomes[number]![pair]!;
      if (place !== NONE) worst = together(worst, this.stands[place]!);
    }
    return worst;
  }

  /** Whether a packet of the pair got lost and was sent again. */
  isRetried(pair: number, layers: number[]): boolean {
    return layers.some((number) => {
      const place = this.outcomes[number]![pair]!;
      return place !== NONE && this.retried[place] === 1;
    });
  }
}

function standOf(one: Outcome): Stand {
  if (!one.measured) return Stand.Unmeasured;
  if (one.differs) return Stand.Differs;
  return one.observed === "unreachable" ? Stand.Unreachable : Stand.Reachable;
}

/** The stand of two together: the worse, or mixed where both are as expected and not alike. */
export function together(one: Stand | undefined, other: Stand): Stand {
  if (one === undefined || one === other) return other;
  const worst = Math.min(one, other);
  return worst <= Stand.Unmeasured ? worst : Stand.Mixed;
}

export const WORDS: Record<Stand, string> = {
  [Stand.Differs]: "differs",
  [Stand.Unmeasured]: "not measured",
  [Stand.Reachable]: "reachable, as expected",
  [Stand.Unreachable]: "unreachable, as expected",
  [Stand.Mixed]: "some of each, as expected",
};

/** How a layer is called. */
export function asked(layer: Layer): string {
  const [word, port] = layer.protocol.split(":");
  return `${word}${layer.family === 6 && word !== "nd" ? "6" : ""}${port ? `:${port}` : ""}`;
}

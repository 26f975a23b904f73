/** Rows and columns of the matrix: ends, and groups of them that are folded into one. */

import type { End } from "./data";

export interface Group { key: string; network: string; node: string; ends: number[]; label: string }
/** A row or column: one end, or a folded group of several. `first` begins a network. */
export interface Slot { group: Group; ends: number[]; label: string; note: string; folded: boolean; first: boolean }

/** More ends than this are folded at first. */
const MOST = 48;

export function groupsOf(ends: End[]): Group[] {
  const networks = [...new Set(ends.map((end) => end.network ?? ""))];
  networks.sort((a, b) => Number(a === "") - Number(b === ""));
  const found = new Map<string, Group>();
  for (const network of networks) {
    ends.forEach((end, number) => {
      if ((end.network ?? "") !== network) return;
      const key = network ? `${network} on ${end.node}` : `${end.kind}s`;
      const group = found.get(key) ?? { key, network, node: network ? end.node : "", ends: [], label: key };
      group.ends.push(number);
      found.set(key, group);
    });
  }
  return [...found.values()];
}

export function foldedAtFirst(groups: Group[]): Set<string> {
  const count = groups.reduce((sum, group) => sum + group.ends.length, 0);
  if (count <= MOST) return new Set();
  return new Set(groups.filter((group) => group.network && group.ends.length > 1).map((group) => group.key));
}

export function slotsOf(groups: Group[], ends: End[], folded: Set<string>, shown: (end: number) => boolean): Slot[] {
  const slots: Slot[] = [];
  let before: string | undefined;
  for (const group of groups) {
    const there = group.ends.filter(shown);
    if (!there.length) continue;
    const first = before !== undefined && before !== group.network;
    before = group.network;
    if (folded.has(group.key) && there.length > 1) {
      slots.push({ group, ends: there, label: group.label, note: `${there.length}`, folded: true, first });
      continue;
    }
    there.forEach((end, number) => {
      const one = ends[end]!;
      const note = one.kind === "container" ? one.node : "";
      slots.push({ group, ends: [end], label: one.name, note, folded: false, first: first && number === 0 });
    });
  }
  return slots;
}
